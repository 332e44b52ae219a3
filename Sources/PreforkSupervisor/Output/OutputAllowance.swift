// Bounds for the output of children in the supervisor's log.

import PreforkSystem

/// Bytes and lines of log per second. A value: the caller says what time it is.
struct OutputAllowance: Equatable {
    /// What one child, or all together, may cause.
    struct Limits: Equatable {
        /// In a second, and at once.
        let bytes: Int
        /// In a second.
        let lines: Int
        let linesAtOnce: Int
    }

    static let ofChild = Limits(bytes: 1 << 20, lines: 2000, linesAtOnce: 10_000)
    /// A line costs the supervisor some microseconds, and it has other things to do: these are a tenth of its time.
    static let ofAll = Limits(bytes: 4 << 20, lines: 8000, linesAtOnce: 20_000)
    /// What a line costs beside its own bytes: the head before it.
    static let lineCost = 80

    private var bytes: Bucket
    private var lines: Bucket

    init(_ limits: Limits, at now: MonotonicInstant) {
        bytes = Bucket(rate: limits.bytes, most: limits.bytes, at: now)
        lines = Bucket(rate: limits.lines, most: limits.linesAtOnce, at: now)
    }

    /// What has become free since the last call.
    mutating func refill(at now: MonotonicInstant) {
        bytes.refill(at: now)
        lines.refill(at: now)
    }

    /// - Parameter count: the bytes of one line.
    func hasLine(of count: Int) -> Bool { lines.left >= 1 && bytes.left >= count + Self.lineCost }

    mutating func useLine(of count: Int) {
        lines.left -= 1
        bytes.left -= count + Self.lineCost
    }

    /// What runs full with time.
    private struct Bucket: Equatable {
        let rate: Int
        let most: Int
        var left: Int
        private var filled: MonotonicInstant

        init(rate: Int, most: Int, at now: MonotonicInstant) {
            self.rate = rate
            self.most = most
            left = most
            filled = now
        }

        mutating func refill(at now: MonotonicInstant) {
            let passed = min(max(0, (now - filled).saturatedNanoseconds), 60_000_000_000)
            let gained = Int(passed) * rate / 1_000_000_000
            // Time that was too short for one is kept.
            if gained == 0 { return }
            left = min(most, left + gained)
            filled = now
        }
    }
}
