// A child from its start until it has been reaped, whatever still refers to it, and those that wait for that.

import PreforkEventLoop
import PreforkSystem
import Synchronization

/// The life of one child process, kept by the loop that watches it: a handle that is dropped leaves no zombie.
final class WatchedChild: @unchecked Sendable {
    // Sendable: `state` has a lock, and all other variables are touched on the loop's thread only.
    let child: ChildProcess
    let loop: EventLoop
    let leadsGroup: Bool
    let controlGroup: Command.ControlGroup?
    let state = Mutex(ExitState())
    let started: MonotonicInstant
    private var watch: Watch?
    private var timeoutCall: ScheduledCall?
    /// Streams and sinks, which have their own business with the exit.
    private var observers: [() -> Void] = []
    /// The stop that is under way.
    var ladder: StopLadder?
    var ladderCall: ScheduledCall?
    var reason = Subprocess.Exit.Reason.own

    init(
        _ child: ChildProcess, started: MonotonicInstant, leadsGroup: Bool, controlGroup: Command.ControlGroup?,
        loop: EventLoop
    ) {
        self.child = child
        self.started = started
        self.leadsGroup = leadsGroup
        self.controlGroup = controlGroup
        self.loop = loop
    }

    /// How it ended, or nil until it has been reaped. From any thread.
    var exit: Subprocess.Exit? { state.withLock { $0.exit } }

    /// Begins to watch. Runs on the loop, once.
    func begin(timeout: Duration?, stopPlan: StopPlan) {
        if let timeout {
            timeoutCall = loop.call(after: timeout) { [self] in stop(stopPlan, reason: .timedOut) }
        }
        guard let pidfd = child.pidfdNumber, !ChildSignalReaper.isForced else { return ChildSignalReaper.add(self) }
        // One report, and a check by timer after it: a traced process can be gone and not be collectable yet.
        let watch = Watch(pidfd) { [self] _ in reapOrLookAgain(after: .milliseconds(10)) }
        do {
            try loop.add(watch, for: .readableOnce)
            self.watch = watch
        } catch {
            // epoll has no room (epoll_ctl(2), ENOSPC): this child is treated as one without a pidfd.
            ChildSignalReaper.add(self)
        }
    }

    /// Collects the child, now or as soon as it can be collected. Runs on the loop.
    func reapOrLookAgain(after pause: Duration) {
        if !reapIfEnded() { loop.call(after: pause) { [self] in reapOrLookAgain(after: pause) } }
    }

    /// Collects the child if it has ended and informs all waiters. Runs on the loop.
    ///
    /// - Returns: whether the child is gone.
    @discardableResult
    func reapIfEnded() -> Bool {
        if exit != nil { return true }
        endGroupWhileItsNumberIsSafe()
        let wasForced = ladder?.hasKilled ?? false
        // Under the lock: code that sends a signal by number does it before the number is free.
        let told = state.withLock { state -> (Subprocess.Exit, [ExitState.Waiter], [ExitState.Callback])? in
            guard let end = reaped() else { return nil }
            let exit = Subprocess.Exit(
                status: end.status, usage: end.usage, duration: .now - started, reason: reason, wasForced: wasForced)
            let (waiters, callbacks) = state.end(exit)
            return (exit, waiters, callbacks)
        }
        guard let (exit, waiters, callbacks) = told else { return false }
        stopWatching()
        if Family.isMember { FamilyChildren.remove(self) }
        for observer in observers { observer() }
        observers = []
        for waiter in waiters { waiter.resume(returning: .exited(exit)) }
        for callback in callbacks { callback(exit) }
        return true
    }

    /// waitid(2) on a child of this process fails only if other code has reaped it.
    private func reaped() -> ProcessExit? {
        do {
            return try child.reap()
        } catch {
            return ProcessExit(status: .lost, usage: ResourceUsage())
        }
    }

    private func stopWatching() {
        if let watch { loop.remove(watch) }
        watch = nil
        timeoutCall?.cancel()
        timeoutCall = nil
        // The ladder continues for what the child has left.
        if !hasLeftOthers { endLadder() }
    }

    /// Calls `body` on the loop when the child has been reaped, or at once if it has. Runs on the loop.
    func onReaped(_ body: @escaping () -> Void) {
        if exit != nil { body() } else { observers.append(body) }
    }
}

/// Waiting for the exit, from any thread.
extension WatchedChild {
    /// Calls `body` with the exit on the loop, once, also if the exit was long ago.
    func onExit(_ body: @escaping ExitState.Callback) {
        guard let exit = state.withLock({ $0.add(body) }) else { return }
        loop.execute { body(exit) }
    }

    /// Waits for the exit. Cancelling the calling task ends the wait and nothing else.
    func wait() async throws(CancellationError) -> Subprocess.Exit {
        if let exit { return exit }
        let id = state.withLock { $0.makeID() }
        let end = await withTaskCancellationHandler {
            await wait(id, isForStop: false)
        } onCancel: {
            state.withLock { $0.abandon(id) }?.resume(returning: .abandoned)
        }
        guard case .exited(let exit) = end else { throw CancellationError() }
        return exit
    }

    /// A stop that is requested from now on has a new result. From any thread.
    func forgetFailedStop() {
        state.withLock { $0.forgetFailure() }
    }

    /// Waits for the exit or for a failed stop, whatever becomes of the calling task.
    func waitForEnd() async throws(StopError) -> Subprocess.Exit {
        let id = state.withLock { $0.makeID() }
        switch await wait(id, isForStop: true) {
        case .exited(let exit): return exit
        case .unstoppable(let error): throw error
        // Only `wait` above abandons, and only the number that it made itself: no input, peer or kernel comes here.
        case .abandoned: preconditionFailure("wait \(id) for a stop was abandoned, which only cancellable waits are")
        }
    }

    private func wait(_ id: UInt64, isForStop: Bool) async -> ExitState.WaitResult {
        await withUnsafeContinuation { waiter in
            let result = state.withLock { state -> ExitState.WaitResult? in
                let result = state.add(waiter, id: id, isForStop: isForStop)
                // If the cancellation handler ran before this line, it found no waiter to abandon.
                guard result == nil, !isForStop, Task.isCancelled else { return result }
                _ = state.abandon(id)
                return .abandoned
            }
            if let result { waiter.resume(returning: result) }
        }
    }
}

/// Waiters and callbacks until the exit, the exit afterwards. A value: each change returns the actions to take.
struct ExitState {
    enum WaitResult: Equatable, Sendable {
        case exited(Subprocess.Exit)
        /// The waiting task was cancelled.
        case abandoned
        /// The stop that was waited for has failed.
        case unstoppable(StopError)
    }

    typealias Waiter = UnsafeContinuation<WaitResult, Never>
    typealias Callback = @Sendable (Subprocess.Exit) -> Void

    private(set) var exit: Subprocess.Exit?
    private var waiters: [UInt64: (waiter: Waiter, isForStop: Bool)] = [:]
    private var callbacks: [Callback] = []
    private var failure: StopError?
    private var nextID: UInt64 = 0

    /// A number for a wait that is about to begin.
    mutating func makeID() -> UInt64 {
        nextID += 1
        return nextID
    }

    /// - Returns: the result for a waiter that need not wait.
    mutating func add(_ waiter: Waiter, id: UInt64, isForStop: Bool) -> WaitResult? {
        if let exit { return .exited(exit) }
        if isForStop, let failure { return .unstoppable(failure) }
        waiters[id] = (waiter, isForStop)
        return nil
    }

    /// - Returns: the waiter, if it still waits.
    mutating func abandon(_ id: UInt64) -> Waiter? {
        waiters.removeValue(forKey: id)?.waiter
    }

    /// - Returns: the exit, if the callback must be called at once.
    mutating func add(_ callback: @escaping Callback) -> Subprocess.Exit? {
        if exit == nil { callbacks.append(callback) }
        return exit
    }

    /// - Returns: all waiters and callbacks, each once.
    mutating func end(_ exit: Subprocess.Exit) -> (waiters: [Waiter], callbacks: [Callback]) {
        guard self.exit == nil else { return ([], []) }
        self.exit = exit
        defer {
            waiters = [:]
            callbacks = []
        }
        return (waiters.sorted { $0.key < $1.key }.map(\.value.waiter), callbacks)
    }

    /// A stop has failed. A later one may succeed.
    ///
    /// - Returns: the tasks that waited for a stop.
    mutating func fail(_ error: StopError) -> [Waiter] {
        failure = error
        let ids = waiters.filter(\.value.isForStop).keys.sorted()
        return ids.compactMap { waiters.removeValue(forKey: $0)?.waiter }
    }

    /// A new stop begins.
    mutating func forgetFailure() {
        failure = nil
    }
}
