// How many lines of a log one cause may have.

/// One line a second for each cause; the next one that gets through says how many were left out.
///
/// A worker, a client or a peer that can cause a line can cause a million: 35 MB in five seconds were seen. A value: it
/// neither writes nor looks at a clock.
package struct LineThinning: Sendable {
    package enum Verdict: Equatable, Sendable {
        /// To be written, and so many like it were not since the last one that was.
        case write(leftOut: Int)
        case leaveOut
    }

    private struct Cause {
        /// When the last line was written.
        var last: MonotonicInstant
        var leftOut = 0
        /// How many more may be written at once.
        var credit: Int
    }

    private var causes: [String: Cause] = [:]
    private let period: Duration
    private let burst: Int
    /// Causes may bear names of others: more of them than this, and the ones that were silent longest are forgotten.
    private let mostCauses = 256

    /// - Parameters:
    ///   - burst: so many lines of a cause may come at once, after which one comes back each `period`.
    package init(burst: Int = 1, period: Duration = .seconds(1)) {
        self.burst = max(1, burst)
        self.period = period
    }

    package mutating func judge(_ name: String, at now: MonotonicInstant) -> Verdict {
        guard var cause = causes[name] else {
            makeRoom(at: now)
            causes[name] = Cause(last: now, credit: burst - 1)
            return .write(leftOut: 0)
        }
        defer { causes[name] = cause }
        let periods = max(
            0, Int(clamping: (now - cause.last).saturatedNanoseconds / max(1, period.saturatedNanoseconds)))
        cause.credit = min(burst, cause.credit + min(periods, burst))
        guard cause.credit > 0 else {
            cause.leftOut &+= 1
            return .leaveOut
        }
        cause.credit -= 1
        cause.last = now
        defer { cause.leftOut = 0 }
        return .write(leftOut: cause.leftOut)
    }

    /// Takes the causes of which lines were left out and none came for a period: what is told of them now is the end of
    /// the matter.
    package mutating func takeSettled(at now: MonotonicInstant) -> [(cause: String, leftOut: Int)] {
        let settled = causes.filter { $0.value.leftOut > 0 && now - $0.value.last >= period }
        for name in settled.keys {
            causes[name]?.leftOut = 0
            causes[name]?.last = now
        }
        return settled.map { ($0.key, $0.value.leftOut) }.sorted { $0.cause < $1.cause }
    }

    /// How many causes it knows at present.
    package var causeCount: Int { causes.count }

    /// When `takeSettled` has something; nil: nothing was left out.
    package var nextDeadline: MonotonicInstant? {
        causes.values.lazy.filter { $0.leftOut > 0 }.map { $0.last + period }.min()
    }

    private mutating func makeRoom(at now: MonotonicInstant) {
        guard causes.count >= mostCauses else { return }
        causes = causes.filter { now - $0.value.last < period || $0.value.leftOut > 0 }
        guard causes.count >= mostCauses, let oldest = causes.min(by: { $0.value.last < $1.value.last }) else { return }
        causes[oldest.key] = nil
    }
}
