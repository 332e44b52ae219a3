// A loop as the executor of the whole process, with Swift 6.3: the SPI of its concurrency runtime.

#if ProcessExecutor && compiler(>=6.3) && compiler(<6.4)
    @_spi(ExperimentalCustomExecutors) @_spi(ExperimentalScheduling) import _Concurrency
    import PreforkSystem

    extension ProcessExecutor {
        static var isSupported: Bool { true }

        static func install(_ loop: EventLoop) {
            Installed.standard = LoopDefaultExecutor(loop: loop)
            Installed.main = LoopMainExecutor(loop: loop)
            _createExecutors(factory: LoopExecutorFactory.self)
        }

        static func prepare() { _ = Installed.conformances.count }

        static func runOnMainActor(_ job: UnownedJob, of loop: EventLoop) {
            // Without a task executor: a task has no preference here, and with another one than its own each awaited call
            // of the main actor's code would go through the queue (Swift 6.3.1).
            job.runSynchronously(on: MainActor.sharedUnownedExecutor)
        }
    }

    /// The factory is asked by type, so what it hands out is kept here.
    private enum Installed {
        // Proof: written once, by the only thread of a process, before it uses concurrency, and then only read.
        nonisolated(unsafe) static var standard: LoopDefaultExecutor?
        nonisolated(unsafe) static var main: LoopMainExecutor?
        static let conformances: [Any.Type] = [
            LoopExecutorFactory.self as any ExecutorFactory.Type, LoopMainExecutor.self as any MainExecutor.Type,
            LoopDefaultExecutor.self as any TaskExecutor.Type, LoopDefaultExecutor.self as any SchedulingExecutor.Type,
        ]
    }

    private struct LoopExecutorFactory: ExecutorFactory {
        // Installed only by `install`, which has set both.
        static var mainExecutor: any MainExecutor { Installed.main! }
        static var defaultExecutor: any TaskExecutor { Installed.standard! }
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
#endif
