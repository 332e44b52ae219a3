// The pool's line in `systemctl status`.

extension Pool {
    /// One line, true at this moment: how many workers serve, what is missing, and what is under way.
    var serviceStatus: String {
        switch phase {
        case .finished: return "stopped"
        case .stopping(let reason, _):
            let left = slots.reduce(0) { $0 + $1.workers.count }
            return "\(reason.text); \(Self.workers(left, "is", "are")) left"
        case .delayingStop: return "about to stop; " + serving
        case .running: return serving
        }
    }

    private var serving: String {
        let ready = slots.count { $0.isReady && !$0.isRetired }
        let ended = slots.count { $0.state == .ended && !$0.isRetired }
        if !hasBeenComplete {
            return "starting: \(ready) of \(Self.workers(target, "is", "are")) ready"
        }
        var text = Self.workers(ready, "serves", "serve")
        let missing = target - ready - ended
        if missing > 0 { text += ", \(missing) \(missing == 1 ? "is" : "are") missing" }
        if ended > 0 { text += ", \(ended) \(ended == 1 ? "has" : "have") ended" }
        if let reload, reload.probationEnd != nil {
            text += ", generation \(reload.generation) is on probation"
        } else if let reload {
            text += ", reloading to generation \(reload.generation), \(reload.replaced) of \(reload.total) replaced"
        } else if let reason = lastReload?.abortReason {
            text += ", the last reload was aborted: \(reason)"
        }
        return text
    }

    private static func workers(_ count: Int, _ one: String, _ many: String) -> String {
        switch count {
        case 0: "no worker \(one)"
        case 1: "1 worker \(one)"
        default: "\(count) workers \(many)"
        }
    }
}
