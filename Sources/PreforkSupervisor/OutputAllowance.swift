// How much of its children's output a supervisor writes to its log.

import PreforkSystem

/// Bytes of log per second, up to a second's worth at once. A value: the caller says what time it is.
struct OutputAllowance: Equatable {
    /// For one child.
    static let ofChild = 1 << 20
    /// For all children together: a line costs the supervisor some microseconds, and it has other things to do.
    static let ofAll = 4 << 20
    /// What a line costs beside its own bytes: the head before it.
    static let lineCost = 80

    let rate: Int
    private var left: Int
    private var filled: MonotonicInstant

    init(rate: Int, at now: MonotonicInstant) {
        self.rate = rate
        left = rate
        filled = now
    }

    /// Bytes that have become free since the last call.
    mutating func refill(at now: MonotonicInstant) {
        let passed = min(max(0, (now - filled).saturatedNanoseconds), 1_000_000_000)
        let gained = Int(passed) * rate / 1_000_000_000
        // Time that was too short for a byte is kept.
        if gained == 0 { return }
        left = min(rate, left + gained)
        filled = now
    }

    func has(_ bytes: Int) -> Bool { left >= bytes }

    mutating func use(_ bytes: Int) { left -= bytes }
}
