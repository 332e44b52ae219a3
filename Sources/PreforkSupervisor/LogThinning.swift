// Lines that a child can cause without end.

import PreforkSystem

/// Lets one line a second through for each cause, and counts the others.
struct LogThinning {
    static let period = Duration.seconds(1)

    private struct Cause {
        var last: MonotonicInstant
        var leftOut = 0
    }

    private var causes: [String: Cause] = [:]

    /// - Parameter cause: from a set that no child can make larger.
    /// - Returns: how many were left out before this line; nil: this one is left out, too.
    mutating func admit(_ cause: String, at now: MonotonicInstant) -> Int? {
        guard let known = causes[cause] else {
            causes[cause] = Cause(last: now)
            return 0
        }
        guard now - known.last >= Self.period else {
            causes[cause]?.leftOut += 1
            return nil
        }
        causes[cause] = Cause(last: now)
        return known.leftOut
    }
}

extension LogLine {
    /// With how many of its kind were left out.
    func adding(leftOut count: Int) -> LogLine {
        count == 0 ? self : LogLine(level, "\(text) (and \(count) like this left out)")
    }
}
