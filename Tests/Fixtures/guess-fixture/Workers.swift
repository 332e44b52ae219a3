// "Call forkProcesses() at startup, query taskID() in workers."

import Prefork

func workers() throws {
    let listener = try Listener("127.0.0.1:0")  // guess 25
    try forkProcesses()  // guess 1
    print("worker \(taskID() ?? -1) has the listener: \(listener.address.port != 0)")
}

func restarts() throws {
    let id = try forkProcesses(2, maxRestarts: nil)  // guess 2
    print("worker \(id)")
}
