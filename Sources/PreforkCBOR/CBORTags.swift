// What a tag makes of the item behind it (RFC 8949, section 3.4, and IANA's registry of tags).

/// The tags that change what an item means. All others are passed over.
enum CBORTag {
    /// Text: date and time by RFC 3339.
    static let timeText: UInt64 = 0
    /// A number: seconds since 1970.
    static let timeNumber: UInt64 = 1
    /// A byte string: a number without sign.
    static let bigNumber: UInt64 = 2
    /// A byte string: -1 minus that number.
    static let bigNegative: UInt64 = 3
    /// `[exponent, mantissa]`: mantissa * 10 ^ exponent.
    static let decimal: UInt64 = 4
    /// `[exponent, mantissa]`: mantissa * 2 ^ exponent.
    static let bigFloat: UInt64 = 5
    /// The number of a text that came before (stringref).
    static let stringReference: UInt64 = 25
    /// The number of an item that came before (value sharing).
    static let sharedReference: UInt64 = 29
    /// `[numerator, denominator]`.
    static let rational: UInt64 = 30
    static let url: UInt64 = 32
    static let uuid: UInt64 = 37
    /// A byte string that is an array of `UInt8`, as JavaScript's `Uint8Array` (RFC 8746).
    static let bytes: UInt64 = 64
    /// Byte strings that are arrays of numbers. 68 is one of `UInt8`, too.
    static let numberArrays: ClosedRange<UInt64> = 65...87
    static let clampedBytes: UInt64 = 68
    /// A number: days since 1970 (RFC 8943).
    static let dayNumber: UInt64 = 100
    static let set: UInt64 = 258
    /// Text: a date without time (RFC 8943).
    static let dayText: UInt64 = 1004
}

extension CBORReader {
    /// The tag that stands right before the item at an offset.
    func tag(at offset: Int) -> UInt64? {
        var tag: UInt64?
        var next = head(at: offset)
        while let head = next, head.major == .tag, !head.isIndefinite {
            tag = head.argument
            next = self.head(at: head.end)
        }
        return tag
    }

    /// A byte string that is no plain bytes: a large number, or an array of wider numbers.
    func isNumbers(at offset: Int) -> Bool {
        guard let tag = tag(at: offset) else { return false }
        return tag == CBORTag.bigNumber || tag == CBORTag.bigNegative
            || CBORTag.numberArrays.contains(tag) && tag != CBORTag.clampedBytes
    }

    /// An array that is one number.
    func isFraction(at offset: Int) -> Bool {
        guard let tag = tag(at: offset) else { return false }
        return tag == CBORTag.decimal || tag == CBORTag.bigFloat || tag == CBORTag.rational
    }
}

/// A number of up to 128 bits and a sign.
struct CBORWideInteger {
    var isNegative: Bool
    var magnitude: UInt128

    func exactly<Number: FixedWidthInteger>(_: Number.Type) -> Number? {
        guard isNegative, magnitude > 0 else { return Number(exactly: magnitude) }
        return Int128(exactly: magnitude - 1).flatMap { Number(exactly: ~$0) }
    }

    var double: Double? { Double(exactly: magnitude).map { isNegative ? -$0 : $0 } }
}

extension CBORReader {
    /// An integer, or a byte string with tag 2 or 3.
    func wideInteger(at offset: Int) throws(CBORMismatch) -> CBORWideInteger {
        guard let head = item(at: offset) else { throw .otherType }
        switch head.major {
        case .unsigned:
            return CBORWideInteger(isNegative: false, magnitude: UInt128(head.argument))
        case .negative:
            return CBORWideInteger(isNegative: true, magnitude: UInt128(head.argument) + 1)
        case .bytes:
            let tag = tag(at: offset)
            guard tag == CBORTag.bigNumber || tag == CBORTag.bigNegative else { throw .otherType }
            let digits = try rawBytes(at: offset).drop { $0 == 0 }
            guard digits.count <= 16 else { throw .outOfRange }
            let magnitude = digits.reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
            guard tag == CBORTag.bigNegative else { return CBORWideInteger(isNegative: false, magnitude: magnitude) }
            guard magnitude < .max else { throw .outOfRange }
            return CBORWideInteger(isNegative: true, magnitude: magnitude + 1)
        default:
            throw .otherType
        }
    }

    /// The items of an array of two, as a decimal fraction has them.
    func decimalParts(at offset: Int) throws(CBORMismatch) -> (exponent: Int, mantissa: CBORWideInteger) {
        guard let head = item(at: offset), head.major == .array, tag(at: offset) == CBORTag.decimal else {
            throw .otherType
        }
        var items = items(of: head)
        guard items.count(in: self) == 2 else { throw .otherType }
        let exponent: Int = try integer(at: items.offset)
        items.skip(in: self)
        return (exponent, try wideInteger(at: items.offset))
    }
}

extension CBORWriter {
    func write(tag: UInt64) { writeHead(.tag, tag) }

    /// As short as it can be: an integer, or a byte string with tag 2 or 3.
    func write(_ number: CBORWideInteger) {
        let isNegative = number.isNegative && number.magnitude > 0
        let argument = isNegative ? number.magnitude - 1 : number.magnitude
        if let argument = UInt64(exactly: argument) {
            writeHead(isNegative ? .negative : .unsigned, argument)
        } else {
            write(tag: isNegative ? CBORTag.bigNegative : CBORTag.bigNumber)
            let bytes = stride(from: 120, through: 0, by: -8).map { UInt8(truncatingIfNeeded: argument >> $0) }
            write(Array(bytes.drop { $0 == 0 }))
        }
    }
}
