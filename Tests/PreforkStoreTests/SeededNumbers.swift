// Numbers that a seed repeats, so that a failure that was seen once can be seen again.

import Glibc

/// SplitMix64.
struct SeededNumbers: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

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
