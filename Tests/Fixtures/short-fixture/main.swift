// The short form as a new user writes it: top-level code without `try`. `SCENARIO ADDRESS`.

import Glibc
import Prefork

let scenario = CommandLine.arguments[1]
let address = CommandLine.arguments[2]

switch scenario {
case "bind":
    // A program that binds by itself.
    let listener = Listener.orExit(address)
    print("bound \(listener.address)")
    exit(0)
case "thread":
    startThread()
case "task":
    Task { print("never") }
default: break
}

var runtime = ForkRuntime(workers: 2, maxRestarts: 1)
runtime.restarts.bootLimit = 1
runtime.runAndExit(on: address) { worker, listener in
    if scenario == "crash" { fatalError("a crash at the start") }
    try await listener.serve { connection in
        while try await connection.reader.waitForMessage() {
            let line = try await connection.reader.read(until: "\n", limit: 1024)
            if line.starts(with: "crash".utf8) { fatalError("a crash in a handler") }
            try await connection.writer.write("worker \(worker.taskID): " + String(decoding: line, as: UTF8.self))
        }
    }
}
