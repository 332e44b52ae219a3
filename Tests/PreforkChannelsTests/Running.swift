// Code on a loop of its own, and on plain threads. Never on a thread of Swift's pool, of which there are as many as
// processors: two tests that block would stop all others.

import PreforkEventLoop
import PreforkSystem

/// Runs `body` on a new loop on a new thread, and returns what it returns.
func onLoop<Success: Sendable>(_ body: @escaping @Sendable () async throws -> Success) async throws -> Success {
    try await onThread { try EventLoop().run(body) }
}

/// Runs `body`, which may block, on a new thread, and returns what it returns.
func onThread<Success: Sendable>(_ body: @escaping @Sendable () throws -> Success) async throws -> Success {
    try await withCheckedThrowingContinuation { continuation in
        do {
            try startThread { continuation.resume(with: Result { try body() }) }
        } catch {
            continuation.resume(throwing: error)
        }
    }
}

/// Starts a thread for each body. An error ends the program.
func onThreads(_ bodies: (@Sendable () throws -> Void)...) throws {
    for body in bodies { try startThread { try! body() } }
}
