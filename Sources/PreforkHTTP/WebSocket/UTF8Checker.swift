// Whether bytes are UTF-8, piece by piece as they arrive.

/// Checks UTF-8 (RFC 3629, section 4) over pieces of any size. A byte that cannot be right is refused when it comes,
/// without waiting for what follows.
struct UTF8Checker {
    /// How many bytes the character in hand still needs, and the range of the next one.
    private var missing = 0
    private var lower: UInt8 = 0x80
    private var upper: UInt8 = 0xBF

    /// Whether no character is unfinished.
    var isComplete: Bool { missing == 0 }

    /// - Returns: false if these bytes cannot follow the ones before.
    mutating func accept(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var index = 0
        while index < bytes.count {
            if missing == 0 {
                // Most text is ASCII: eight bytes at a time.
                while index &+ 8 <= bytes.count,
                    bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self) & 0x8080_8080_8080_8080 == 0
                {
                    index &+= 8
                }
                if index == bytes.count { return true }
                guard begin(bytes[index]) else { return false }
            } else {
                let byte = bytes[index]
                guard byte >= lower, byte <= upper else { return false }
                (lower, upper) = (0x80, 0xBF)
                missing &-= 1
            }
            index &+= 1
        }
        return true
    }

    /// The first byte of a character. The range of the second one excludes overlong forms, surrogates, and what is above
    /// U+10FFFF.
    private mutating func begin(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x00...0x7F: return true
        case 0xC2...0xDF: (missing, lower, upper) = (1, 0x80, 0xBF)
        case 0xE0: (missing, lower, upper) = (2, 0xA0, 0xBF)
        case 0xED: (missing, lower, upper) = (2, 0x80, 0x9F)
        case 0xE1...0xEF: (missing, lower, upper) = (2, 0x80, 0xBF)
        case 0xF0: (missing, lower, upper) = (3, 0x90, 0xBF)
        case 0xF1...0xF3: (missing, lower, upper) = (3, 0x80, 0xBF)
        case 0xF4: (missing, lower, upper) = (3, 0x80, 0x8F)
        default: return false
        }
        return true
    }
}
