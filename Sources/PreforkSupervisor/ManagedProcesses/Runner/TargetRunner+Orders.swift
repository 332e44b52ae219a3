// The program's orders to its managed processes.

import PreforkSystem

extension TargetRunner {
    /// Starts a target and its dependencies. When it returns, every target whose dependencies are ready has been
    /// forked.
    ///
    /// - Throws: `.unknown`, `.cycle`, `.alreadyRunning`, `.stopping`, `.multithreaded`, `.fork`.
    package func start(_ name: String) throws(ProcessError) {
        guard let target = table[name] else { throw ProcessError(.unknown(name)) }
        if target.settings.isOnceTask { throw ProcessError(.onceTask(name)) }
        _ = try table.plan()
        if table.isStoppingAll { throw ProcessError(.stopping) }
        switch target.state.phase {
        case .stopped, .failed, .stopping: break
        case .starting, .running, .backoff: throw ProcessError(.alreadyRunning(name))
        }
        try checkThreads()
        _ = try childRights()
        lastForkError = nil
        handle(.start(target.number))
        // It was the caller's order, and the caller learns of the failure. Do not keep trying behind its back.
        if let error = lastForkError, case .backoff = table[name]?.state {
            handle(.stop(target.number, within: .zero))
            throw error
        }
    }

    /// Starts every target that does not run or is being stopped, in the order of their dependencies.
    ///
    /// - Throws: `.unknown`, `.cycle`, `.stopping`, `.multithreaded`: no target was started then.
    package func startAll() throws(ProcessError) {
        let plan = try table.plan()
        if table.isStoppingAll { throw ProcessError(.stopping) }
        try checkThreads()
        if host == nil, !hasWarned, let warning = scoreboard.orders.warning {
            logger.say(warning, by: .own(.start))
        }
        hasWarned = true
        _ = try childRights()
        for name in plan.levels.joined() {
            // A target that is being stopped comes back when it has ended. A target that runs is left alone.
            if let target = table[name], !target.settings.isOnceTask { handle(.start(target.number)) }
        }
        beginOnceTasks()
    }

    /// - Returns: false if it has no process and none is due to be started.
    package func stop(_ name: String, within limit: Duration?) throws(ProcessError) -> Bool {
        guard let target = table[name] else { throw ProcessError(.unknown(name)) }
        let isAlive = !table.status(of: target).processes.isEmpty
        handle(.stop(target.number, within: limit))
        return isAlive
    }

    package func stopAll(within limit: Duration?) {
        holdOnceTasks()
        handle(.stopAll(within: limit))
    }

    func checkThreads() throws(ProcessError) {
        let threads = DrivenLoops.holding { threadCount() }
        if threads > 1 { throw ProcessError(.multithreaded(threads: threads)) }
    }
}
