// The loop for code that runs on no loop. A separate thread or the supervisor turns it.

package import PreforkSystem
import Synchronization

extension EventLoop {
    /// The loop that serves streams, timers and callbacks of code on no other loop: of a plain `async main`, a test, or
    /// the main process of a service. It is made at first use and then lives as long as the process.
    ///
    /// A separate thread turns it. In a process that supervises, the supervisor does instead, without a thread: from
    /// the call of `ForkRuntime.run`, `forkProcesses` or `ProcessManager.run` until that returns, and within each other
    /// call of a `ProcessManager`. A thread from before ends there between two callbacks. In a program that was started
    /// by an upgrade nothing turns it before `run`. Code on the loop then delays the supervisor. It must not block and
    /// must not start a thread, or the supervisor cannot fork any more.
    ///
    /// - Throws: `SystemError` if there is no descriptor or thread left for it. A later use tries again.
    public static var shared: EventLoop {
        get throws(SystemError) { try sharedLoop.withLock { loop throws(SystemError) in try started(&loop) } }
    }

    /// `wanted`, or the loop of the calling thread, or the shared one.
    package static func chosen(_ wanted: EventLoop? = nil) throws(SystemError) -> EventLoop {
        if let chosen = wanted ?? current { chosen } else { try shared }
    }

    private static func started(_ shared: inout EventLoop?) throws(SystemError) -> EventLoop {
        if let loop = shared {
            if loop.process == ForkCount.current { return loop }
            // The parent's loop: `DrivenLoops` does not free it in this process either.
            _ = Unmanaged.passRetained(loop)
            shared = nil
        }
        let loop = try EventLoop()
        try DrivenLoops.found(loop)
        shared = loop
        return loop
    }

    /// Runs `body` on this loop, from wherever the caller is.
    ///
    /// Runs as a separate task whose executor is the loop from the start. `withTaskExecutorPreference` would spare the
    /// task but does not hold: on Swift 6.3.1, a task that another thread cancels while it hops was seen to stay where
    /// it was, off the loop, once in some thousand times (the test `timeoutsFromManyThreadsAlwaysCancel`).
    package func run<Success: Sendable>(
        _ body: @escaping @Sendable (EventLoop) async throws -> Success
    ) async throws -> Success {
        // A subscription or a stream of a parent: nothing would ever happen on its loop.
        guard process == ForkCount.current else {
            throw SystemError("epoll_wait", .badDescriptor, on: "the event loop of a parent process")
        }
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

/// The thread of the shared loop.
final class LoopThread: Sendable {
    private enum Phase {
        static let runs: UInt8 = 0
        static let isAskedToEnd: UInt8 = 1
        /// No further job of the loop is run.
        static let ends: UInt8 = 2
    }

    /// How long a supervisor waits for the end of a job.
    private static let patience = Duration.seconds(1)

    private let phase = Atomic(Phase.runs)
    private let thread = Mutex<WaitedThread?>(nil)

    init(_ loop: EventLoop) throws(SystemError) {
        let new = try WaitedThread { [self] in
            do {
                try loop.run { self.takesEnd() }
            } catch {
                // This package cannot make epoll_wait fail, so foreign code has closed a descriptor that it does not
                // own (epoll_wait(2): besides EINTR there are EBADF, EFAULT and EINVAL). Every stream of the process
                // would hang in silence from here on, and this thread has no caller to throw to.
                fatalError("the shared event loop cannot wait: \(error)")
            }
        }
        thread.withLock { $0 = new }
    }

    private func takesEnd() -> Bool {
        phase.load(ordering: .relaxed) != Phase.runs && change(Phase.isAskedToEnd, to: Phase.ends)
    }

    private func change(_ old: UInt8, to new: UInt8) -> Bool {
        phase.compareExchange(expected: old, desired: new, ordering: .sequentiallyConsistent).exchanged
    }

    func askToEnd() { _ = change(Phase.runs, to: Phase.isAskedToEnd) }

    /// - Returns: false if the job that runs takes too long. The thread then continues.
    func waitForEnd() -> Bool {
        guard let thread = thread.withLock({ $0 }) else { return true }
        if thread.wait(atMost: Self.patience) { return true }
        if change(Phase.isAskedToEnd, to: Phase.runs) { return false }
        // It has nothing left to do but to end.
        while !thread.wait(atMost: Self.patience) {}
        return true
    }
}

extension EventLoop: DrivenLoop {
    package var epollNumber: Int32 { epoll.descriptor.number }

    package var ownDescriptors: [Int32] {
        [epoll.descriptor.number, inbox.wakeUp.descriptor.number] + usersDescriptors.withLock { Array($0) }
    }

    package var hasWorkInHand: Bool { WorkInHand.isAny }

    package func startThread() throws(SystemError) {
        let new = try LoopThread(self)
        thread.withLock { $0 = new }
    }

    package func endThread() -> Bool {
        guard let present = thread.withLock({ $0 }) else { return true }
        present.askToEnd()
        inbox.put(.call {})
        guard present.waitForEnd() else { return false }
        thread.withLock { $0 = nil }
        return true
    }

    package func turn(until end: MonotonicInstant) throws(SystemError) {
        try DrivenLoops.turn(until: end) { () throws(SystemError) in try turnOnce(until: end) }
    }
}
