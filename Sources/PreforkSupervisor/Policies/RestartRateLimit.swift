// The pace at which other processes may have a target or a worker restarted.

import PreforkSystem

/// Eight restarts at once, and then one each second: the generic cell rate algorithm. Each restart is a fork, log lines
/// and hooks in the supervisor, and the process that asks may do nothing else.
struct RestartRateLimit: Equatable {
    static let burst: Int64 = 8
    static let period = Duration.seconds(1)

    /// When all restarts that were admitted would be over at one each second.
    private var paid = MonotonicInstant(nanoseconds: .min)
    /// No fork before.
    private(set) var earliest = MonotonicInstant(nanoseconds: .min)

    /// - Returns: false while an earlier one waits: they become one.
    mutating func admit(_ now: MonotonicInstant) -> Bool {
        guard earliest <= now else { return false }
        let due = max(paid, now)
        earliest = due + .nanoseconds(-(Self.burst - 1) * Self.period.saturatedNanoseconds)
        paid = due + Self.period
        return true
    }

    /// For a restart that is made at once or not at all.
    ///
    /// - Returns: nil if the restart may be made now, else when to ask again.
    mutating func admitAtOnce(_ now: MonotonicInstant) -> MonotonicInstant? {
        let due = max(paid, now)
        let start = due + .nanoseconds(-(Self.burst - 1) * Self.period.saturatedNanoseconds)
        guard start <= now else { return start }
        paid = due + Self.period
        return nil
    }
}

extension RestartRateLimit {
    /// For the next image of this program.
    var words: [Int64] { [paid.nanoseconds, earliest.nanoseconds] }

    /// - Parameter words: two, each an instant, or the least number there is.
    init(words: ArraySlice<Int64>) {
        paid = MonotonicInstant(nanoseconds: words.first ?? .min)
        earliest = MonotonicInstant(nanoseconds: words.last ?? .min)
    }
}
