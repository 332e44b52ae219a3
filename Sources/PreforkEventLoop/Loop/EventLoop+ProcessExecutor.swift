// The loop as the executor of the whole process: the one file that uses the runtime's SPI.

// The SPI belongs to Swift 6.3 (ExecutorFactory, MainExecutor, SchedulingExecutor). Another compiler, or the package
// trait `ProcessExecutor` turned off, selects the fallback: tasks get the loop as their preferred executor.
#if ProcessExecutor && compiler(>=6.3) && compiler(<6.4)
    @_spi(ExperimentalCustomExecutors) @_spi(ExperimentalScheduling) import _Concurrency
    import PreforkSystem

    extension EventLoop {
        /// Whether this build can make a loop the executor of its process.
        package static var canBeProcessExecutor: Bool { true }

        /// Whether a loop is the executor of this process.
        package static var isProcessExecutorInstalled: Bool { ProcessLoop.isInstalled }

        /// Makes this loop run every task of the process: `Task {}`, `Task.sleep`, default actors, the main actor.
        ///
        /// Must come before any code in this process uses concurrency. A process forked before that counts anew.
        package func becomeProcessExecutor() {
            isProcessExecutor = true
            ProcessLoop.isInstalled = true
            ProcessLoop.standard = LoopDefaultExecutor(loop: self)
            ProcessLoop.main = LoopMainExecutor(loop: self)
            _createExecutors(factory: LoopExecutorFactory.self)
        }

        /// Makes the witness tables that `becomeProcessExecutor` needs, once for all children.
        static func prepareProcessExecutor() { _ = ProcessLoop.conformances.count }

        func runOnMainActor(_ job: UnownedJob) {
            job.runSynchronously(
                isolatedTo: MainActor.sharedUnownedExecutor, taskExecutor: asUnownedTaskExecutor())
        }
    }

    /// The factory is asked by type, so what it hands out is kept here.
    private enum ProcessLoop {
        // Proof: written once, by the only thread of a process, before it uses concurrency, and then only read.
        nonisolated(unsafe) static var isInstalled = false
        nonisolated(unsafe) static var standard: LoopDefaultExecutor?
        nonisolated(unsafe) static var main: LoopMainExecutor?
        static let conformances: [Any.Type] = [
            LoopExecutorFactory.self as any ExecutorFactory.Type, LoopMainExecutor.self as any MainExecutor.Type,
            LoopDefaultExecutor.self as any TaskExecutor.Type, LoopDefaultExecutor.self as any SchedulingExecutor.Type,
        ]
    }

    private struct LoopExecutorFactory: ExecutorFactory {
        // Installed only by becomeProcessExecutor, which has set both.
        static var mainExecutor: any MainExecutor { ProcessLoop.main! }
        static var defaultExecutor: any TaskExecutor { ProcessLoop.standard! }
    }

    /// The main actor's executor. A separate object, so that its jobs can be distinguished from all others in the
    /// queue.
    private final class LoopMainExecutor: MainExecutor, Sendable {
        let loop: EventLoop

        init(loop: EventLoop) {
            self.loop = loop
        }

        func enqueue(_ job: consuming ExecutorJob) {
            loop.enqueue(UnownedJob(job), isMainActor: true)
        }

        var isMainExecutor: Bool { true }

        func checkIsolated() {
            // The runtime requires that it does not return elsewhere. Only code that claims a wrong actor comes here.
            precondition(loop.isCurrent, "the caller is not on the main actor's event loop")
        }

        func isIsolatingCurrentContext() -> Bool? {
            loop.isCurrent
        }

        // Called by the entry point of an `async main` only, which installs its executors before a program can fork.
        func run() throws {
            try loop.run { false }
        }

        func runUntil(_ condition: () -> Bool) throws {
            try loop.run(until: condition)
        }

        func stop() {}
    }

    /// The default executor. A separate object, because the loop, which is public, cannot conform to SPI.
    private final class LoopDefaultExecutor: TaskExecutor, SchedulingExecutor, Sendable {
        let loop: EventLoop

        init(loop: EventLoop) {
            self.loop = loop
        }

        func enqueue(_ job: consuming ExecutorJob) {
            loop.enqueue(job)
        }

        var asSchedulingExecutor: (any SchedulingExecutor)? { self }

        /// `Task.sleep` and the sleeps of clocks end up here.
        func enqueue<C: Clock>(
            _ job: consuming ExecutorJob, after delay: C.Duration, tolerance: C.Duration?, clock: C
        ) {
            // The runtime schedules only clocks that measure in Swift's Duration today. How long a unit of any other
            // clock lasts is unknown, so such a job runs at the next turn, where its clock checks again.
            let duration = (delay as? Duration) ?? .zero
            let unowned = UnownedJob(job)
            let deadline = MonotonicInstant.now + duration
            loop.execute { [loop] in _ = loop.timers.insert(.job(unowned), at: deadline) }
        }

        func enqueue<C: Clock>(
            _ job: consuming ExecutorJob, at instant: C.Instant, tolerance: C.Duration?, clock: C
        ) {
            enqueue(job, after: clock.now.duration(to: instant), tolerance: tolerance, clock: clock)
        }
    }
#else
    extension EventLoop {
        package static var canBeProcessExecutor: Bool { false }

        package static var isProcessExecutorInstalled: Bool { false }

        package func becomeProcessExecutor() {}

        static func prepareProcessExecutor() {}

        /// Without an own main executor no job is the main actor's.
        func runOnMainActor(_ job: UnownedJob) {
            job.runSynchronously(on: asUnownedTaskExecutor())
        }
    }
#endif
