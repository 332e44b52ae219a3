// The last line, and the exit code.

import Prefork

extension Subprocess.Exit {
    /// One line for people: how it ended and what it took.
    var summary: String {
        let cause = reason == .own ? "" : " (\(reason.rawValue)\(wasForced ? ", by force" : ""))"
        return "\(status)\(cause), \(seconds(duration)) s, cpu \(seconds(usage.userTime)) s user "
            + "\(seconds(usage.systemTime)) s system, peak memory \(usage.peakMemory >> 10) KiB"
    }

    /// As timeout(1) and shells have it.
    var exitCode: Int32 {
        if reason == .timedOut { return 124 }
        switch status {
        case .exited(let code): return code
        case .signaled(let signal, _): return 128 + signal.rawValue
        case .lost: return 125
        }
    }

    /// With three decimals, without Foundation.
    private func seconds(_ duration: Duration) -> String {
        let milliseconds = Int64(duration / .milliseconds(1))
        let rest = String(milliseconds % 1000)
        return "\(milliseconds / 1000)." + String(repeating: "0", count: 3 - rest.count) + rest
    }
}
