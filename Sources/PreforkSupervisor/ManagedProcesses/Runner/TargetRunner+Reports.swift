// Reports on managed processes, to the log and to the program's hooks.

import PreforkSystem

extension TargetRunner {
    /// - Returns: false if the order must not be carried out.
    @discardableResult
    func runHooks(before order: TargetOrder, of name: String) -> Bool {
        for hook in hooks.beforeProcessShutdown { runHook(.beforeProcessShutdown, of: name) { try hook(name) } }
        guard order == .restart else { return true }
        var isWanted = true
        for hook in hooks.beforeProcessRestart where !runHook(.beforeProcessRestart, of: name, { try hook(name) }) {
            isWanted = !hooks.throwingPreventsRestart
        }
        return isWanted
    }

    /// - Returns: false when it has thrown.
    @discardableResult
    private func runHook(_ hook: ProcessHook, of name: String, _ body: () throws -> Void) -> Bool {
        let start = MonotonicInstant.now
        hooksRunning += 1
        defer {
            hooksRunning -= 1
            let took = MonotonicInstant.now - start
            if took > .seconds(1) { tell(.hookWasSlow(name: name, hook, took: took)) }
        }
        do {
            try logger.running(body)
            return true
        } catch {
            tell(.hookFailed(name: name, hook, error: "\(error)"))
            return false
        }
    }

    func tell(_ report: TargetReport) {
        if !tellOnceTasks(report) { logger.say(report.line, by: report.cause) }
        if case .exited(let exit) = report {
            if let crash = exit.crash, !crash.frames.isEmpty {
                logger.say(crash.logLines(of: "\(exit.name) (pid \(exit.pid))"), by: .target(exit.name, .stack))
            }
            for hook in hooks.afterExit { runHook(.afterExit, of: exit.name) { try hook(exit.name, exit) } }
        }
        hooksRunning += 1
        for hook in hooks.onReport { logger.running { hook(report) } }
        hooksRunning -= 1
    }

    /// Says a warning of the manager's, before its first target starts.
    package func warn(_ text: String) { logger.say(LogLine(.warning, text), by: .own(.start)) }

    /// Beside a pool its supervisor's, unless the program takes the lines itself.
    var logger: SupervisorLogger { log == nil ? host?.logger ?? ownLogger : ownLogger }

    /// Reports what is left when this runner's loop no longer turns.
    package func finishLog() {
        output?.finish(at: .now)
        ownLogger.tellAllLeftOut()
    }
}
