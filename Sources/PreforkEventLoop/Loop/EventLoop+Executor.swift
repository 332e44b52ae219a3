// The loop as Swift's executor: how jobs come in and how they run.

import PreforkSystem

extension EventLoop {
    /// Takes a job from the runtime, on any thread.
    public func enqueue(_ job: consuming ExecutorJob) {
        enqueue(UnownedJob(job), isMainActor: false)
    }

    func enqueue(_ job: UnownedJob, isMainActor: Bool) {
        if isCurrent {
            jobs.append(.init(job: job, isMainActor: isMainActor))
        } else {
            inbox.put(.job(job, isMainActor: isMainActor))
        }
    }

    /// The loop as a task's preferred executor, for the runtime. Programs pass the loop itself, for example to
    /// `Task(executorPreference:)`. Callable from any thread.
    public func asUnownedTaskExecutor() -> UnownedTaskExecutor {
        UnownedTaskExecutor(ordinary: self)
    }

    public func asUnownedSerialExecutor() -> UnownedSerialExecutor {
        UnownedSerialExecutor(ordinary: self)
    }

    /// Called by the runtime when it cannot tell by itself where it is: an actor on this loop is isolated on its
    /// thread, whichever way its job came in.
    public func checkIsolated() {
        // It must not return elsewhere. Only code that claims a wrong actor comes here, whatever its input.
        precondition(isCurrent, "the caller is not on this event loop's thread")
    }

    public func isIsolatingCurrentContext() -> Bool? {
        isCurrent
    }

    /// Runs one job to its next suspension.
    ///
    /// As a job of a task executor, never as one of a serial executor: measured on Swift 6.3.1, a continuation that
    /// is resumed before it suspends then costs 33 ns instead of 172, and a call to a default actor 37 ns without an
    /// enqueue. The main actor's jobs alone need the main executor's identity.
    func run(_ entry: JobQueue.Entry) {
        // A task's job is the task itself (AsyncTask is a Job in the runtime's Task.h), so this number is the same
        // whenever the task resumes. It is compared and never followed.
        if let requests { requests.runs(UInt64(UInt(bitPattern: unsafeBitCast(entry.job, to: Int.self)))) }
        if entry.isMainActor {
            ProcessExecutor.runOnMainActor(entry.job, of: self)
        } else {
            entry.job.runSynchronously(on: genericExecutor)
        }
    }

    /// The executor to prefer for tasks that must run here. Nil if the whole process runs here anyway, because a
    /// preference makes each call to an actor go through the queue (measured: 380 ns instead of 37).
    package var preference: (any TaskExecutor)? {
        isProcessExecutor ? nil : self
    }

    /// Runs `body` as a task on this loop, on the calling thread, and returns when it has ended.
    ///
    /// Blocks the thread, so it must not be called on a loop's thread. Jobs of other tasks run meanwhile, too.
    public func run<Success: Sendable>(
        _ body: @escaping @Sendable () async throws -> Success
    ) throws -> Success {
        try run(body) { _ in }
    }

    /// Like `run`, but hands the task to `started` before it runs, so that other code can cancel it.
    package func run<Success: Sendable>(
        _ body: @escaping @Sendable () async throws -> Success, started: (Task<Void, Never>) -> Void
    ) throws -> Success {
        let box = ResultBox<Success>()
        let work: @isolated(any) @Sendable () async -> Void = {
            do {
                let value = try await body()
                self.execute { box.complete(.success(value)) }
            } catch {
                self.execute { box.complete(.failure(error)) }
            }
        }
        // A preference for nil is a preference all the same: its record is searched, under a lock, at each resumption of
        // the task and of its child tasks (Swift 6.3.1: 2 % of an HTTP request).
        let task =
            if let preference {
                Task(executorPreference: preference, operation: work)
            } else {
                Task(operation: work)
            }
        started(task)
        let completion: Completion = box
        try run { completion.isDone }
        // `run(until:)` has returned, so there is a result.
        return try box.result!.get()
    }
}

/// No executor in particular, as the runtime's own thread pool has it: two words of zero
/// (SerialExecutorRef::generic()).
let genericExecutor = unsafeBitCast((0 as UInt, 0 as UInt), to: UnownedSerialExecutor.self)

/// Where a task leaves its result for the loop.
// Proof: written and read on the loop's thread only.
private final class ResultBox<Success: Sendable>: Completion, @unchecked Sendable {
    private(set) var result: Result<Success, any Error>?

    func complete(_ result: Result<Success, any Error>) {
        self.result = result
        isDone = true
    }
}

/// The part that the loop reads at every turn. It is not generic, because a generic class unknown to the compiler costs
/// a metadata lookup each time.
private class Completion: @unchecked Sendable {
    // Sendable: like ResultBox, of which it is a half.
    fileprivate(set) final var isDone = false
}
