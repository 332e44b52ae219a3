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
    ///
    /// As a task of its own that has the loop for its executor from birth. `withTaskExecutorPreference` would spare the
    /// task but does not hold: on Swift 6.3.1, a task that another thread cancels while it hops was seen to stay where
    /// it was, off the loop, once in some thousand times (the test `timeoutsFromManyThreadsAlwaysCancel`).
    func run<Success: Sendable>(
        _ body: @escaping @Sendable (EventLoop) async throws -> Success
    ) async throws -> Success {
        try Task.checkCancellation()
        let task = Task(executorPreference: self) { try await body(self) }
        return try await withTaskCancellationHandler {
            try await task.value
        } onCancel: {
            task.cancel()
        }
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
