// Log lines about managed processes, one for each event.

import PreforkSystem

extension TargetReport {
    /// The event as a sentence for the operator.
    var line: LogLine {
        switch self {
        case .forked(let name, let pid, let generation):
            LogLine(.info, "\(name) started (pid \(pid), generation \(generation))")
        case .forkFailed(let name, let reason, let delay):
            LogLine(.error, "\(name) not started: \(reason); next try in \(delay.short)")
        case .ready(let name, let pid, let after):
            LogLine(.info, "\(name) ready (pid \(pid)) after \(after.short)")
        case .stopping(let name, let isRestart):
            LogLine(.info, "\(name) is asked to \(isRestart ? "restart" : "stop")")
        case .killing(let name, let pid, .startTimeout):
            LogLine(.warning, "\(name) (pid \(pid)) gets SIGKILL: not ready within the start timeout")
        case .killing(let name, let pid, .grace):
            LogLine(.warning, "\(name) (pid \(pid)) gets SIGKILL: still running after the grace period")
        case .killing(let name, let pid, .crashed):
            LogLine(.warning, "\(name) (pid \(pid)) gets SIGKILL: \(KillReason.crashed.text)")
        case .crashed(let name, let pid, let signal, let hasBacktracer):
            LogLine(
                .warning,
                "\(name) (pid \(pid)) has crashed (\(signal))" + (hasBacktracer ? ": its stack is being read" : ""))
        case .exited(let exit):
            exit.line
        case .dependencyFailed(let name, let dependency):
            LogLine(.error, "\(name) is not started: its dependency \(dependency) cannot become ready")
        case .ignoredCode(let name, let code, let count):
            LogLine(.warning, "\(name): control code \(code) ignored, \(count) so far")
        case .strayControlPacket(let bytes):
            LogLine(.warning, "ignored a packet of \(bytes) bytes on the control line: not a code")
        case .hookFailed(let name, let hook, let error):
            LogLine(.error, "\(name): hook \(hook.rawValue) failed: \(error)")
        case .hookWasSlow(let name, let hook, let took):
            LogLine(.warning, "\(name): hook \(hook.rawValue) took \(took.short) and delayed all other work")
        case .restartPrevented(let name):
            LogLine(.warning, "\(name) is not restarted: a hook prevented it")
        case .restartRefused(let name, let reason):
            LogLine(.error, "\(name) is not restarted: \(reason)")
        case .treeCrashed(let name):
            LogLine(.error, "\(name) crashed: stopping all processes")
        }
    }
}

extension TargetExit {
    fileprivate var line: LogLine {
        var text = "\(name) (pid \(pid)) \(status) after \(uptime.short)"
        if let crash { text += crash.cause }
        if !wasReady { text += ", before it was ready" }
        if outOfMemory { text += ExitReport.outOfMemoryText }
        text += " [cpu \((usage.userTime + usage.systemTime).short), peak \(usage.peakMemory >> 20) MiB]"
        switch consequence {
        case .none, .ignored, .crashTree: break
        case .restart(let delay, _): text += "; restart \(delay == .zero ? "at once" : "in \(delay.short)")"
        case .failed: text += "; no further restart"
        }
        let isQuiet = consequence == .none && killReason == nil
        if !isQuiet, let lastWords { text += lastWords.spoken }
        return LogLine(isQuiet ? .info : .warning, text, LogFields(pid: pid, generation: generation, status))
    }
}
