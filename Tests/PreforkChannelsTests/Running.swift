// Code on a loop of its own, and on plain threads.

import PreforkEventLoop
import PreforkSystem
import Synchronization

/// Runs `body` on a new loop on a new thread, and returns what it returns.
func onLoop<Success: Sendable>(_ body: @escaping @Sendable () async throws -> Success) throws -> Success {
    let result = Mutex<Result<Success, any Error>?>(nil)
    let done = try EventCounter()
    let box = Handover(result: result, done: done)
    try startThread {
        let outcome = Result { try EventLoop().run(body) }
        box.result.withLock { $0 = outcome }
        box.done.signal()
    }
    _ = try Polling.waitUntilReadable([box.done.descriptor.number], until: nil)
    return try box.result.withLock { $0 }!.get()
}

private final class Handover<Success: Sendable>: Sendable {
    let result: Mutex<Result<Success, any Error>?>
    let done: EventCounter

    init(result: consuming Mutex<Result<Success, any Error>?>, done: consuming EventCounter) {
        self.result = result
        self.done = done
    }
}

/// Starts a thread for each body; an error ends the program.
func onThreads(_ bodies: (@Sendable () throws -> Void)...) throws {
    for body in bodies { try startThread { try! body() } }
}
