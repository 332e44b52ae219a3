// The first bytes of each CBOR item: what it is and how long (RFC 8949, section 3).

/// The upper three bits of an item's first byte.
enum CBORMajor: UInt8 {
    case unsigned = 0
    /// The number is -1 - argument.
    case negative = 1
    case bytes = 2
    case text = 3
    case array = 4
    case map = 5
    case tag = 6
    /// `CBORSimple`, or a float of 2, 4 or 8 bytes with its bits as the argument.
    case simple = 7
}

/// The items of one byte that have a meaning.
enum CBORSimple {
    static let `false`: UInt8 = 0xF4
    static let `true`: UInt8 = 0xF5
    static let null: UInt8 = 0xF6
    static let undefined: UInt8 = 0xF7
    /// Ends what has begun with an indefinite length.
    static let `break`: UInt8 = 0xFF
}

/// An item's head, decoded.
struct CBORHead {
    /// Values of `detail`, the lower five bits: below 24 they are the argument itself.
    static let oneByte: UInt8 = 24
    static let twoBytes: UInt8 = 25
    static let fourBytes: UInt8 = 26
    static let eightBytes: UInt8 = 27
    static let indefinite: UInt8 = 31

    let major: CBORMajor
    let detail: UInt8
    let argument: UInt64
    /// The offset after the head.
    let end: Int

    var isIndefinite: Bool { detail == Self.indefinite }
}
