// Processes of a scenario that have a loop.

import Prefork
import PreforkFixtureSupport

/// Forks a child that runs `body` on a new loop and leaves.
func loopChild(_ body: @escaping @Sendable () async throws -> Void) throws -> Int32 {
    try child { try EventLoop().run(body) }
}

/// Runs `body` on a new loop on this thread.
func onLoop(_ body: @escaping @Sendable () async throws -> Void) {
    do { try EventLoop().run(body) } catch { fail(error) }
}

/// The code of the channel's error that `body` throws, as text.
func code(_ body: () async throws -> Void) async -> String {
    do {
        try await body()
        return "no error"
    } catch let error as ChannelError {
        return "\(error.code)"
    } catch {
        return "\(error)"
    }
}
