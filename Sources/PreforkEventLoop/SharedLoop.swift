// The loop for code that runs on no loop: a thread of its own, started at first use.

package import PreforkSystem
import Synchronization

extension EventLoop {
    /// A loop on a background thread that serves streams and timers of tasks on other executors, for example in a
    /// plain `async main` or a test. It starts at first use and then lives as long as the process.
    ///
    /// A process that has used it has two threads and cannot fork workers any more; `ForkRuntime` says so.
    ///
    /// - Throws: `SystemError` when there is no descriptor or thread left for it; a later use tries again.
    public static var shared: EventLoop {
        get throws(SystemError) { try sharedLoop.withLock { loop throws(SystemError) in try started(&loop) } }
    }

    /// `wanted`, or the loop of the calling thread, or the shared one.
    package static func chosen(_ wanted: EventLoop? = nil) throws(SystemError) -> EventLoop {
        if let chosen = wanted ?? current { chosen } else { try shared }
    }

    private static func started(_ shared: inout EventLoop?) throws(SystemError) -> EventLoop {
        if let shared { return shared }
        let loop = try EventLoop()
        try startThread {
            do {
                try loop.run { false }
            } catch {
                // Nothing in this package can make epoll_wait fail: somebody has closed a descriptor that is not
                // theirs (epoll_wait(2): beside EINTR there are EBADF, EFAULT and EINVAL). Every stream of the process
                // would hang in silence from here on, and this thread has no caller to throw to.
                fatalError("the shared event loop cannot wait: \(error)")
            }
        }
        shared = loop
        return loop
    }

    /// Runs `body` on this loop, from wherever the caller is.
    ///
    /// As a task of its own that has the loop for its executor from birth. `withTaskExecutorPreference` would spare the
    /// task but does not hold: on Swift 6.3.1, a task that another thread cancels while it hops was seen to stay where
    /// it was, off the loop, once in some thousand times (the test `timeoutsFromManyThreadsAlwaysCancel`).
    package func run<Success: Sendable>(
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

private let sharedLoop = Mutex<EventLoop?>(nil)
