// Operations on a service: run, wait, add tasks, stop.

extension AsyncService {
    /// Whether it has started and its stop has not begun. The answer may be outdated at once.
    public var running: Bool { lifecycle.isRunning }

    /// Starts the tree, waits until it must end, and stops it.
    ///
    /// It ends by `requestStop`, by the host's stop requests (signals, or in a worker of `ForkRuntime` the worker's
    /// stop request), by a failing task, or when the calling task is cancelled. All of them stop it gracefully within
    /// the budget, and this returns when that is done. If a service is running already, this tree only becomes another
    /// holder. The same instance may run again afterwards.
    ///
    /// - Returns: why it ended. A stop that was requested while it started is not an error.
    /// - Throws: `ServiceError`: the first cause and everything that failed during the stop. `cancelled` if the caller
    ///   was cancelled, or if the stop was requested before the start: then nothing is started.
    @discardableResult
    public func run() async throws(ServiceError) -> StopReason {
        let tree = try TreeRun(self)
        return try await tree.runToEnd()
    }

    /// Starts the tree, calls `body`, and stops the tree, however `body` ends.
    ///
    /// The host's stop requests end `wait()` in the body, which then finishes its work and returns. In a worker its
    /// task is cancelled shortly before its time to drain is over. In a program without workers, SIGTERM and SIGINT
    /// cancel a body that waits neither by `wait()` nor for messages, and a second signal any body.
    ///
    /// - Throws: what `body` throws. `ServiceError` if the start, a task or the stop failed, or a stop was requested
    ///   before it was up (`cancelled`). When several happened: a `ServiceError` with the first in time as its kind and
    ///   the rest in `suppressed`. A task's failure that no task waited for is thrown here.
    public func withRunning<Result>(
        isolation: isolated (any Actor)? = #isolation, _ body: (Self) async throws -> Result
    ) async throws -> Result {
        let tree = try TreeRun(self)
        try await tree.start()
        let result: Swift.Result<Result, any Error>
        let scope = ScopeBody(of: tree)
        do {
            result = .success(try await body(self))
            scope.end(thrown: false)
        } catch {
            result = .failure(error)
            scope.end(thrown: true)
        }
        let end = await tree.stop()
        return try end.joined(with: result, service: tree.path(0))
    }

    /// Waits until the tree of this service must end. Many tasks may wait. A cancelled one ends alone.
    ///
    /// - Returns: the reason, or the reason of the last run if it is not running.
    /// - Throws: `ServiceError`: the failure that ends the tree. `cancelled` if the calling task is cancelled.
    ///   `notRunning` if it was never started.
    @discardableResult
    public func wait() async throws(ServiceError) -> StopReason {
        try await lifecycle.wait()
    }

    /// Waits until the service is up, and with `Readiness.announced` until it has called `ready()`.
    ///
    /// - Throws: `ServiceError` of kind `notRunning` if its start fails, it is being stopped, or no tree starts it.
    ///   `cancelled` if the calling task is cancelled.
    public func waitUntilReady() async throws(ServiceError) {
        try await lifecycle.waitUntilReady()
    }

    /// Says that this service can do its work. For policies with `Readiness.announced`. Has no effect otherwise.
    ///
    /// From its `start` or a background task, on any thread.
    public func ready() {
        lifecycle.announce()
    }

    /// Runs `body` in the background while the service runs. When the service stops it is cancelled and awaited,
    /// after `stop` and before anything it needs is stopped.
    ///
    /// What it throws ends the whole tree, or what `ServicePolicy.onTaskFailure` says. Returning is not an event, and
    /// neither is `CancellationError` from a task that was cancelled.
    ///
    /// - Parameter name: for errors and events.
    /// - Returns: the task: its `value`, and `cancel()`. A `stop` that waits for it cancels it first.
    /// - Throws: `ServiceError` of kind `notRunning` or `stopping` if the service neither starts nor runs. `body` is
    ///   then never called.
    @discardableResult
    public func addTask<Success: Sendable>(
        _ name: String, _ body: @escaping @Sendable () async throws -> Success
    ) throws(ServiceError) -> Task<Success, any Error> {
        try lifecycle.addTask(name, body)
    }

    /// As `addTask(_:_:)`, for a task named `task`.
    @discardableResult
    public func addTask<Success: Sendable>(
        _ body: @escaping @Sendable () async throws -> Success
    ) throws(ServiceError) -> Task<Success, any Error> {
        try addTask("task", body)
    }

    /// Cancels one background task. Has no effect if it has ended.
    public func cancelTask(_ task: Task<some Sendable, any Error>) {
        task.cancel()
    }

    /// Requests the end of every tree that this service is part of. Callable from any thread, at any time and
    /// repeatedly. The first reason counts.
    ///
    /// A start in progress is cancelled and what had started is stopped. Without a tree the request is kept: the next
    /// start fails with `cancelled` before anything is started, so that a request that comes too early is not lost.
    public func requestStop(_ reason: StopReason = .requested) {
        lifecycle.requestStop(reason)
    }
}
