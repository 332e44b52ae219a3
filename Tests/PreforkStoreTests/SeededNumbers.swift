// Numbers that a seed repeats, so that a failure that was seen once can be seen again.

import Glibc
import PreforkSystem

extension SplitMix64 {
    mutating func bytes(_ count: Int) -> [UInt8] {
        // A loop over each byte would be most of what a debug build of these tests does.
        var bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: next()), count: count)
        for index in stride(from: 0, to: count, by: 509) { bytes[index] = UInt8(truncatingIfNeeded: next()) }
        return bytes
    }
}

/// A number from the environment, for scripts that want more than a test suite has time for.
func number(_ variable: String, default fallback: Int) -> Int {
    getenv(variable).flatMap { Int(String(cString: $0)) } ?? fallback
}
