// Named processes, and what they share.

import Prefork

func manager() throws {
    let manager = ProcessManager()
    try manager.addTarget("a") { print("x") }  // guess 22
    try manager.addTarget("b") { child in
        while !child.isStopRequested { _ = try? child.active.receiveBlocking(timeout: .seconds(1)) }
        return 0
    }
    try manager.startAll(waitingForReadiness: .seconds(30))
    let generation = try manager.status(of: "b").generation
    try manager.restart("b")  // guess 23
    while try manager.status(of: "b").generation == generation { _ = try manager.turn(waitingAtMost: .seconds(1)) }
    print("restarted", try manager.isProcessAlive("b"))
    try manager.terminateAll()
    try manager.joinAll()
}

func store() throws {
    let store = try SharedStore()
    try store.set("key", "value")
    print(try store.get("key") ?? "-", try store.get("other", default: "default"))
    try store.delete("key")
    do {
        try store.delete("key", ignoreKeyError: false)  // guess 24
    } catch {
        print("not there")
    }
}
