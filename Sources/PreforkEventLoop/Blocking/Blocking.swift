// Code that blocks, off the loop: a bounded pool of threads.

package import PreforkSystem
import Synchronization

/// Runs code that blocks on threads beside the event loop.
///
/// Such code is a database client without an async interface, a read of a file that may be on a slow disk, or a
/// computation of more than some milliseconds.
///
/// The threads belong to the process that calls `run`: a worker, a managed process or a plain program. They are named
/// `blocking-1` and so on in ps(1) and top(1), take no signals but those of their own crash, and end when they had nothing
/// to do for ten seconds, or with the process. While one lives, `ForkRuntime.isSingleThreaded` is false and the process
/// cannot fork workers or managed processes. It can start programs (`Subprocess`).
public enum Blocking {
    private struct State {
        var process: UInt64 = 0
        var limits = BlockingLimits()
        var pool: ThreadPool?
    }

    private static let state = Mutex(State())
    /// Set in a worker: hears of each change, on any thread.
    // Proof: written once by the only thread of a freshly forked child, before it runs any code of the program.
    package nonisolated(unsafe) static var onChange: (@Sendable (ThreadPool.Load) -> Void)?
    private static let idle = Duration.seconds(10)

    /// How many threads there are at most, and how many closures wait for one. Set it before the first `run`: a pool that
    /// exists keeps its limits. A forked child inherits it.
    public static var limits: BlockingLimits {
        get { state.withLock { $0.limits } }
        set { state.withLock { $0.limits = newValue } }
    }

    /// Runs `body` on a thread that may block, and returns its result to where the caller runs.
    ///
    /// Closures begin in the order of the calls. The calling task waits without blocking its thread. A task that is
    /// cancelled while its closure waits for a thread throws `CancellationError`, and the closure is never run. A closure
    /// that has begun is not interrupted, and its task waits for it. A process that was asked to end waits for all of them
    /// until its drain timeout: then their tasks are cancelled, and the process ends without them.
    ///
    /// The closure is on no event loop. It may use what is safe on any thread: the store, `sendBlocking` and
    /// `receiveBlocking` of channels, `Task {}`. Streams and connections stay on the loop.
    ///
    /// - Parameter body: what blocks.
    /// - Throws: what `body` throws, `CancellationError`, or `BlockingError` with `.queueFull`, `.noThread`, `.badLimit`.
    public static func run<Success: Sendable>(
        _ body: @escaping @Sendable () throws -> Success
    ) async throws -> Success {
        try Task.checkCancellation()
        let call = BlockingCall<Success>(on: try pool())
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { call.begin($0, body) }
        } onCancel: {
            call.cancel()
        }
    }

    private static func pool() throws(BlockingError) -> ThreadPool {
        try state.withLock { state throws(BlockingError) in
            if let pool = state.pool, state.process == ForkCount.current { return pool }
            // The parent's pool is not freed: its threads are not here.
            let (threads, queue) = try state.limits.checked()
            let onChange = onChange
            let pool = ThreadPool(threads: threads, queue: queue, idle: idle, name: "blocking") { onChange?($0) }
            (state.pool, state.process) = (pool, ForkCount.current)
            return pool
        }
    }

    /// The process ends now and waits for no closure any more. Their tasks throw `CancellationError`.
    package static func abandonAll() {
        let pool = state.withLock { $0.process == ForkCount.current ? $0.pool : nil }
        pool?.abandonAll()
    }
}

/// How much blocking work a process does at a time.
public struct BlockingLimits: Hashable, Sendable {
    static let mostThreads = 10_000

    /// The most threads, 1...10,000. If nil, four for each processor that the process may use, by its affinity and its CPU quota.
    public var threads: Int?
    /// The most closures that wait for a thread, zero or more. One more is refused with `.queueFull`.
    public var queue: Int

    /// Values outside of the bounds of each property are refused by the first `Blocking.run`, with `.badLimit`.
    public init(threads: Int? = nil, queue: Int = 1_000) {
        self.threads = threads
        self.queue = queue
    }

    /// - Throws: `.badLimit`.
    package func checked() throws(BlockingError) -> (threads: Int, queue: Int) {
        let threads = threads ?? min(4 * processorCount(), Self.mostThreads)
        guard 1...Self.mostThreads ~= threads else { throw BlockingError(.badLimit("threads \(threads)")) }
        guard queue >= 0 else { throw BlockingError(.badLimit("queue \(queue)")) }
        return (threads, queue)
    }
}
