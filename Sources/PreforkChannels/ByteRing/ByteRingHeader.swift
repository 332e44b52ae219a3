// The words in front of each record of a ring.

/// What a record is, as its first three words say.
///
/// ```
/// word 0   length:32 | type:7 | is by file:1 | kind:8 | descriptors:16
/// word 1   generation of the sender (of a reply: of the one who asked)
/// word 2   number of the call that it belongs to
/// payload  `length` bytes, padded to 8
/// ```
///
/// A pad, which fills the end of the ring's memory where the next record does not fit, has word 0 only.
struct ByteRingHeader: Hashable, Sendable {
    enum Kind: UInt8, Sendable {
        case message = 1
        case call = 2
        case reply = 3
        /// A reply that says why there is no value, in UTF-8.
        case failure = 4
    }

    /// Bytes in front of the payload.
    static let byteCount = 24
    static let pad: UInt64 = 0x7F << 32

    var type: Kind
    /// The payload is a reference to data that travels beside the ring.
    var isByFile: Bool
    /// A `ValueKind`, which the ring does not interpret.
    var kind: UInt8
    /// How many descriptors travel beside the ring for it.
    var descriptorCount: Int
    /// How many of them, the last ones, belong to handles inside of the message. Not of the ring: it is said beside it.
    var luggageCount = 0
    var length: Int
    var generation: UInt64
    var id: UInt64

    init(
        type: Kind, kind: UInt8 = 0, length: Int = 0, generation: UInt64 = 0, id: UInt64 = 0, isByFile: Bool = false,
        descriptorCount: Int = 0
    ) {
        self.type = type
        self.isByFile = isByFile
        self.kind = kind
        self.descriptorCount = descriptorCount
        self.length = length
        self.generation = generation
        self.id = id
    }

    /// Nil for a word that no producer writes.
    init?(word: UInt64) {
        guard let type = Kind(rawValue: UInt8(truncatingIfNeeded: word >> 32) & 0x7F) else { return nil }
        self.type = type
        isByFile = word >> 39 & 1 == 1
        kind = UInt8(truncatingIfNeeded: word >> 40)
        descriptorCount = Int(truncatingIfNeeded: word >> 48)
        length = Int(truncatingIfNeeded: word & 0xFFFF_FFFF)
        generation = 0
        id = 0
    }

    var word: UInt64 {
        let type = UInt64(type.rawValue) << 32 | (isByFile ? 1 << 39 : 0)
        return UInt64(UInt32(truncatingIfNeeded: length)) | type | UInt64(kind) << 40
            | UInt64(UInt16(truncatingIfNeeded: descriptorCount)) << 48
    }

    /// Bytes of the whole record in the ring.
    var span: Int { Self.span(length) }

    /// Bytes that a record with a payload of `length` takes. `length` is below 2^32.
    static func span(_ length: Int) -> Int { byteCount &+ ((length &+ 7) & ~7) }
}

/// Words of a record's header, by byte offset. See `ByteRingHeader`.
enum ByteRingWord {
    static let generation = 8
    static let id = 16
}
