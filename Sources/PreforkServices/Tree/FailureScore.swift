// A score of a service's recent failures.

/// A score that each failure raises and time lowers.
package struct FailureScore: Sendable {
    package enum Verdict: Equatable, Sendable {
        case restart(after: Duration)
        case giveUp
    }

    private var value = 0.0
    private var last: Duration?

    package init() {}

    /// Counts a failure.
    ///
    /// - Parameter fraction: chance, 0 through 1.
    package mutating func fail(at now: Duration, _ backoff: ServiceBackoff, fraction: Double) -> Verdict {
        value = value * decay(over: last.map { now - $0 } ?? .zero, halfLife: backoff.window.bounded) + 1
        last = now
        guard value <= Double(max(backoff.limit, 0)) else { return .giveUp }
        return .restart(after: delay(backoff, fraction: fraction))
    }

    /// Halves exactly at each half-life, and falls in a straight line between: the standard library has no power
    /// of a fraction, and the difference is not noticeable.
    private func decay(over time: Duration, halfLife: Duration) -> Double {
        guard halfLife > .zero else { return 0 }
        let lives = max(time, .zero) / halfLife
        guard lives < 64 else { return 0 }
        let whole = lives.rounded(.down)
        return Double(sign: .plus, exponent: -Int(whole), significand: 1 - (lives - whole) / 2)
    }

    private func delay(_ backoff: ServiceBackoff, fraction: Double) -> Duration {
        let cap = backoff.cap.bounded
        var delay = min(backoff.base.bounded, cap)
        var doublings = value.rounded(.up) - 1
        while doublings >= 1, delay > .zero, delay < cap {
            delay = min(delay * 2, cap)
            doublings -= 1
        }
        let taken = unit(backoff.jitter) * unit(fraction)
        // A product with a fraction is rounded. Without randomness the wait is exactly the requested one.
        return taken == 0 ? delay : delay * (1 - taken)
    }

    private func unit(_ number: Double) -> Double {
        number.isNaN ? 0 : min(max(number, 0), 1)
    }
}
