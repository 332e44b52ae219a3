// A child from its start until it has been reaped, whatever still refers to it.

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
