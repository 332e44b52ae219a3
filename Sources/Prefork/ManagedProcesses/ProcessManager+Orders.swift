// Starting, asking, stopping and waiting for managed processes.

public import PreforkSupervisor
import PreforkSystem

extension ProcessManager {
    // Starting

    /// Starts a target, and first those it depends on, and supervises it until it is stopped: by code 0, by its end
    /// (exit code 0), or by a crash after which it is not restarted. Other targets are supervised meanwhile.
    ///
    /// - Returns: how its last process ended.
    /// - Throws: as `launch`, and `.dependencyFailed`, `.calledByHook`.
    @discardableResult
    public func start(_ name: String) throws(ProcessError) -> TargetExit? {
        let targets = try used()
        try targets.checkMayWait()
        return try DrivenLoops.holding { () throws(ProcessError) in
            try targets.start(name)
            while true {
                let status = try targets.status(of: name)
                if let missing = status.missingDependency {
                    throw ProcessError(.dependencyFailed(name), path: [name, missing])
                }
                if status.isAtRest { return status.lastExit }
                try targets.turn(waitingAtMost: nil)
            }
        }
    }

    /// Starts a target and what it depends on, and returns: when its dependencies are ready it is forked already,
    /// otherwise as soon as they are (see `turn`).
    ///
    /// One that is being stopped is started again when it has ended.
    ///
    /// - Throws: `.unknown` (also for a dependency, with the path), `.cycle`, `.alreadyRunning`, `.stopping`,
    ///   `.multithreaded`, `.fork`, `.wrongOwner`.
    public func launch(_ name: String) throws(ProcessError) {
        try used().start(name)
    }

    /// Starts all targets that do not run, each when those it depends on are ready, and returns.
    ///
    /// - Throws: `.unknown`, `.cycle`, `.stopping`, `.multithreaded`, `.wrongOwner`. No target was started then.
    public func startAll() throws(ProcessError) {
        try used().startAll()
    }

    /// Starts all targets that do not run, and waits until each is ready or has ended with exit code 0.
    ///
    /// - Throws: as `startAll`. `.startFailed` or `.dependencyFailed` as soon as a target cannot become ready any more.
    ///   `.notReady` when the limit is over. `.calledByHook`. Running targets then keep running.
    public func startAll(waitingForReadiness limit: Duration) throws(ProcessError) {
        let targets = try used()
        try targets.checkMayWait()
        try targets.startAll()
        let deadline = MonotonicInstant.now + limit
        try DrivenLoops.holding { () throws(ProcessError) in
            while true {
                let waiting = targets.statuses.filter { !$0.isReady }
                if waiting.isEmpty { return }
                if let failed = waiting.first(where: { $0.isIdle }) {
                    guard let missing = failed.missingDependency else { throw ProcessError(.startFailed(failed.name)) }
                    throw ProcessError(.dependencyFailed(failed.name), path: [failed.name, missing])
                }
                let rest = deadline - .now
                if rest <= .zero { throw ProcessError(.notReady(waiting.map(\.name))) }
                try targets.turn(waitingAtMost: rest)
            }
        }
    }

    // Asking

    /// Sends an order as if it had come by the target's active channel. The manager acts on it in its next turn. A hook
    /// may call this.
    ///
    /// - Throws: `.unknown`, `.wrongOwner`. `.multithreaded` for `.restart` if this process could not fork again: the
    ///   target stays as it is.
    public func send(_ code: ControlCode, to name: String) throws(ProcessError) {
        try used().send(code, to: name)
    }

    /// As `send(.restart, to:)`: the manager ends the target's process and starts the next one, in its next turns.
    public func restart(_ name: String) throws(ProcessError) {
        try send(.restart, to: name)
    }

    /// Whether the target's process lives. False if it was never started or has ended.
    ///
    /// - Throws: `.unknown`, `.wrongOwner`.
    public func isProcessAlive(_ name: String) throws(ProcessError) -> Bool {
        try used().isAlive(name)
    }

    /// - Throws: `.unknown`, `.wrongOwner`.
    public func status(of name: String) throws(ProcessError) -> TargetStatus {
        try used().status(of: name)
    }

    /// All targets, in the order in which they were added.
    ///
    /// - Throws: `.wrongOwner`.
    public func statuses() throws(ProcessError) -> [TargetStatus] {
        try used().statuses
    }

    /// The names of all targets by levels: each target comes after those it depends on. Starts nothing.
    ///
    /// - Throws: `.unknown`, `.cycle`, `.wrongOwner`.
    public func plan() throws(ProcessError) -> [[String]] {
        try used().plan().levels
    }

    // Stopping

    /// Ends a target: SIGTERM, SIGKILL after its grace period, and reaps it.
    ///
    /// - Parameter limit: replaces the target's grace period. With zero or less, it is killed at once.
    /// - Returns: how it ended. If nil, it did not run. A pending restart is cancelled.
    /// - Throws: `.unknown`, `.calledByHook`, `.wrongOwner`.
    @discardableResult
    public func terminate(_ name: String, within limit: Duration? = nil) throws(ProcessError) -> TargetExit? {
        let targets = try used()
        try targets.checkMayWait()
        // A code that comes meanwhile may start it again. This order does not concern its next process.
        let ending = try targets.status(of: name).processes
        guard try targets.stop(name, within: limit) else { return nil }
        return try DrivenLoops.holding { () throws(ProcessError) in
            while true {
                let status = try targets.status(of: name)
                if !status.processes.contains(where: ending.contains) { return status.lastExit }
                try targets.turn(waitingAtMost: nil)
            }
        }
    }

    /// Ends all targets: sends SIGTERM to all of them, the last one started first. After one grace period, the longest
    /// of theirs, it sends SIGKILL to those that are left. It reaps them all.
    ///
    /// - Parameter limit: replaces that grace period. With zero or less, they are killed at once.
    /// - Returns: how those ended that ran, by name.
    /// - Throws: `.calledByHook`, `.wrongOwner`.
    @discardableResult
    public func terminateAll(within limit: Duration? = nil) throws(ProcessError) -> [String: TargetExit] {
        let targets = try used()
        try targets.checkMayWait()
        let running = targets.statuses.filter { !$0.processes.isEmpty }.map(\.name)
        targets.stopAll(within: limit)
        try DrivenLoops.holding { () throws(ProcessError) in
            while targets.isBusy { try targets.turn(waitingAtMost: nil) }
        }
        return Self.exits(of: running, targets)
    }

    // Waiting

    /// Waits until no target runs and no restart is pending, without stopping any target.
    ///
    /// - Parameter limit: the longest wait. If nil, it waits as long as it takes. With zero or less, it only checks.
    /// - Returns: how those have ended that ran when it was called, by name.
    /// - Throws: `.calledByHook`, `.wrongOwner`.
    @discardableResult
    public func joinAll(for limit: Duration? = nil) throws(ProcessError) -> [String: TargetExit] {
        let targets = try used()
        try targets.checkMayWait()
        let deadline = limit.map { MonotonicInstant.now + $0 }
        let running = targets.statuses.filter { !$0.isAtRest }.map(\.name)
        try DrivenLoops.holding { () throws(ProcessError) in
            while targets.isBusy {
                let rest = deadline.map { $0 - .now }
                try targets.turn(waitingAtMost: rest.map { max($0, .zero) })
                if let deadline, deadline <= .now { break }
            }
        }
        return Self.exits(of: running, targets)
    }

    /// Waits until something happens, at most so long, and does what follows: reaps, restarts, kills, runs hooks.
    ///
    /// - Returns: false if no target runs and no start is pending.
    /// - Throws: `.calledByHook`, `.wrongOwner`, `.system`.
    public func turn(waitingAtMost limit: Duration) throws(ProcessError) -> Bool {
        let targets = try used()
        try targets.checkMayWait()
        guard targets.isBusy || limit <= .zero else {
            // Codes may still come, and start one of them.
            try targets.turn(waitingAtMost: .zero)
            return targets.isBusy
        }
        try targets.turn(waitingAtMost: limit)
        return targets.isBusy
    }

    /// Starts all targets and supervises them until no target is left. Takes the process's signals meanwhile: SIGTERM,
    /// SIGQUIT and SIGHUP stop all targets gracefully, SIGINT within two seconds, a second SIGINT kills.
    ///
    /// - Returns: `.ended` if all have ended by themselves, `.stopped` after a signal, `.targetFailed` if a target
    ///   crashed whose failure action ends everything. `exitCode` is the fitting exit code.
    /// - Throws: as `startAll`, and `.calledByHook`.
    @discardableResult
    public func run() throws(ProcessError) -> SupervisorOutcome {
        try used().run()
    }

    private static func exits(of names: [String], _ targets: TargetRunner) -> [String: TargetExit] {
        var exits: [String: TargetExit] = [:]
        for status in targets.statuses where names.contains(status.name) && status.processes.isEmpty {
            exits[status.name] = status.lastExit
        }
        return exits
    }
}
