// Points in time that no clock setting moves.

import CPrefork

/// A point on CLOCK_MONOTONIC, in nanoseconds.
///
/// This clock does not count while the machine sleeps (clock_gettime(2)), so a suspended laptop or a paused virtual
/// machine does not come back to a pile of expired deadlines.
package struct MonotonicInstant: Comparable, Hashable, Sendable {
    package var nanoseconds: Int64

    package init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    package static var now: MonotonicInstant {
        MonotonicInstant(nanoseconds: cprefork_monotonic_nanoseconds())
    }

    /// The time of the kernel's last tick, some milliseconds ago at most: for a quarter of the price of `now`
    /// (CLOCK_MONOTONIC_COARSE, clock_gettime(2)). It is never later than `now`.
    package static var coarseNow: MonotonicInstant {
        MonotonicInstant(nanoseconds: cprefork_coarse_nanoseconds())
    }

    /// A time that never comes.
    package static let distantFuture = MonotonicInstant(nanoseconds: .max)

    package static func < (a: Self, b: Self) -> Bool { a.nanoseconds < b.nanoseconds }

    /// Saturates: an instant plus an absurd duration is the distant future, not a trap.
    package static func + (instant: Self, duration: Duration) -> Self {
        let (sum, overflow) = instant.nanoseconds.addingReportingOverflow(duration.saturatedNanoseconds)
        guard overflow else { return Self(nanoseconds: sum) }
        return Self(nanoseconds: duration < .zero ? .min : .max)
    }

    package static func - (a: Self, b: Self) -> Duration {
        let (difference, overflow) = a.nanoseconds.subtractingReportingOverflow(b.nanoseconds)
        return .nanoseconds(overflow ? (a > b ? .max : .min) : difference)
    }
}

extension Duration {
    /// Whole nanoseconds, at most Int64's range (292 years).
    package var saturatedNanoseconds: Int64 {
        // `components` traps where the seconds do not fit into an Int64: a `Duration` has room for more of them.
        if self > Self.longest { return .max }
        if self < Duration.zero - Self.longest { return .min }
        let (seconds, attoseconds) = components
        let (product, tooLarge) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, overflow) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
        if tooLarge || overflow { return seconds < 0 ? .min : .max }
        return sum
    }

    /// A part of it, in whole nanoseconds. `Duration`'s own division is generic: the first one in a process makes
    /// witness tables for a tenth of a millisecond, which every new worker would do on its way to its first answer.
    package func part(of count: Int64) -> Duration { .nanoseconds(saturatedNanoseconds / count) }

    /// What an Int64 of nanoseconds can still count. By whole components: the other ways to make one are generic.
    private static var longest: Duration { Duration(secondsComponent: 9_223_372_036, attosecondsComponent: 0) }

    /// Seconds as a floating-point number, for display. At most 292 years.
    package var seconds: Double {
        if self > Self.longest || self < Duration.zero - Self.longest { return Double(saturatedNanoseconds) / 1e9 }
        return Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}
