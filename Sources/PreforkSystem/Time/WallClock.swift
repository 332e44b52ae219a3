// The time of day, for people reading logs.

import CPrefork
import Glibc

package enum WallClock {
    /// The present time, in milliseconds since 1970.
    package static var milliseconds: Int64 { cprefork_wall_clock_milliseconds() }

    /// The present time in UTC with milliseconds, for example `2026-11-21T03:00:00.042Z` (RFC 3339).
    package static var timestamp: String { timestamp(of: cprefork_wall_clock_milliseconds()) }

    /// Whole seconds since 1970, by the kernel's last tick (time(2)).
    package static var second: Int { time(nil) }

    /// - Parameter milliseconds: since 1970. A negative value counts as zero.
    package static func timestamp(of milliseconds: Int64) -> String {
        let now = max(0, milliseconds)
        var second = time_t(now / 1_000)
        var parts = tm()
        gmtime_r(&second, &parts)
        let date = "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
        let milliseconds = String(now % 1_000 + 1_000).dropFirst()
        return "\(date)T\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)).\(milliseconds)Z"
    }

    private static func two(_ number: Int32) -> String {
        number < 10 ? "0\(number)" : "\(number)"
    }
}
