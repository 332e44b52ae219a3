// The loop for code that runs on no loop: a thread of its own, started at first use.

import PreforkSystem
import Synchronization

extension EventLoop {
    /// A loop on a background thread that serves streams and timers of tasks on other executors, for example in a
    /// plain `async main` or a test. It starts at first use and then lives as long as the process.
    ///
    /// A process that has used it has two threads and cannot fork workers any more; `ForkRuntime` says so.
    public static var shared: EventLoop { sharedLoop }

    /// The loop of the calling thread, or the shared one.
    package static var currentOrShared: EventLoop { current ?? shared }

    /// Runs `body` on this loop, from wherever the caller is.
    func run<Success: Sendable>(_ body: @Sendable (EventLoop) async throws -> Success) async throws -> Success {
        try await withTaskExecutorPreference(self) { try await Self.nonisolatedCall(self, body) }
    }

    /// A task's preference counts for code without an actor: this is such code.
    @concurrent
    private static func nonisolatedCall<Success: Sendable>(
        _ loop: EventLoop, _ body: @Sendable (EventLoop) async throws -> Success
    ) async throws -> Success {
        try await body(loop)
    }
}

private let sharedLoop: EventLoop = {
    do {
        let loop = try EventLoop()
        try startThread {
            do {
                try loop.run { false }
            } catch {
                // epoll_wait fails on a broken descriptor only, which nothing in this package can cause.
                fatalError("the shared event loop cannot wait: \(error)")
            }
        }
        return loop
    } catch {
        // A property cannot throw. Without a descriptor or a thread for its loop, no stream of this process can work.
        fatalError("the shared event loop cannot start: \(error)")
    }
}()
