// What the supervisor says of managed processes, one line for each event.

import PreforkSystem

extension TargetReport {
    /// The event as a sentence for the operator.
    var line: LogLine {
        switch self {
        case .forked(let name, let pid, let generation):
            LogLine(level: .info, text: "\(name) started (pid \(pid), generation \(generation))")
        case .forkFailed(let name, let reason, let delay):
            LogLine(level: .error, text: "\(name) not started: \(reason); next try in \(delay.short)")
        case .ready(let name, let pid, let after):
            LogLine(level: .info, text: "\(name) ready (pid \(pid)) after \(after.short)")
        case .stopping(let name, let isRestart):
            LogLine(level: .info, text: "\(name) is asked to \(isRestart ? "restart" : "stop")")
        case .killing(let name, let pid, .startTimeout):
            LogLine(level: .warning, text: "\(name) (pid \(pid)) gets SIGKILL: not ready within the start timeout")
        case .killing(let name, let pid, .grace):
            LogLine(level: .warning, text: "\(name) (pid \(pid)) gets SIGKILL: not ended within the grace period")
        case .exited(let exit):
            exit.line
        case .dependencyFailed(let name, let dependency):
            LogLine(level: .error, text: "\(name) is not started: \(dependency), which it needs, cannot become ready")
        case .ignoredCode(let name, let code, let count):
            LogLine(level: .warning, text: "\(name): control code \(code) ignored, \(count) so far")
        case .strayControlPacket(let bytes):
            LogLine(level: .warning, text: "a packet of \(bytes) bytes on the control line is no code: ignored")
        case .hookFailed(let name, let hook, let error):
            LogLine(level: .error, text: "\(name): hook \(hook.rawValue) failed: \(error)")
        case .hookWasSlow(let name, let hook, let took):
            LogLine(level: .warning, text: "\(name): hook \(hook.rawValue) took \(took.short), and all waited for it")
        case .restartPrevented(let name):
            LogLine(level: .warning, text: "\(name) is not restarted: a hook has prevented it")
        case .treeCrashed(let name):
            LogLine(level: .error, text: "\(name) crashed, which ends everything")
        }
    }
}

extension TargetExit {
    fileprivate var line: LogLine {
        var text = "\(name) (pid \(pid)) \(status) after \(uptime.short)"
        if !wasReady { text += ", before it was ready" }
        text += " [cpu \((usage.userTime + usage.systemTime).short), peak \(usage.peakMemory >> 20) MiB]"
        switch consequence {
        case .none, .ignored, .crashTree: break
        case .restart(let delay, _): text += "; restart \(delay == .zero ? "at once" : "in \(delay.short)")"
        case .failed: text += "; no further restart"
        }
        let isQuiet = consequence == .none && killReason == nil
        return LogLine(level: isQuiet ? .info : .warning, text: text)
    }
}
