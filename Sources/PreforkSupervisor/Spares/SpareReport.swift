// What the log says of spares.

import PreforkSystem

/// A fact about a spare, for the log. Spares that are let go, and those that become workers, have no line of their own.
enum SpareReport: Equatable {
    case notStarted(reason: String, retryIn: Duration)
    /// It has ended without an order.
    case lost(pid: Int32, ExitStatus, after: Duration)
    /// So many in a row have ended soon after their forks.
    case turnedOff(inARow: Int)

    var line: LogLine {
        switch self {
        case .notStarted(let reason, let delay):
            LogLine(.warning, "spare worker not started: \(reason); next try in \(delay.short)")
        case .lost(let pid, let status, let duration):
            LogLine(.warning, "spare worker (pid \(pid)) \(status) after \(duration.short)", LogFields(pid: pid))
        case .turnedOff(let count):
            LogLine(
                .error,
                "no spare workers until the next reload: \(count) in a row ended within \(Spares.shortLife.short)")
        }
    }

    var cause: LogCause {
        switch self {
        case .notStarted: .pool(.refusedStart)
        // Any process of the workers' user can kill spares, and so cause this line and the next.
        case .lost, .turnedOff: .pool(.end)
        }
    }
}
