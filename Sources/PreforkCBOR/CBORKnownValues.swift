// Foundation's types in CBOR, by way of their own `Codable`.

/// What Foundation's types encode. Their keys have numbers there, and so here.
private enum FoundationContent {
    struct URL: Codable {
        var base: [URL]
        var relative: String

        enum CodingKeys: Int, CodingKey { case base, relative }

        init(relative: String) {
            self.relative = relative
            base = []
        }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            relative = try container.decode(String.self, forKey: .relative)
            base = try container.decodeIfPresent(URL.self, forKey: .base).map { [$0] } ?? []
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(relative, forKey: .relative)
        }
    }

    struct Decimal: Codable {
        var exponent: Int32
        /// Words of `mantissa` that are in use. None, and the sign: no number.
        var length: UInt32
        var isNegative: Bool
        var isCompact: Bool
        /// The lowest first.
        var mantissa: [UInt16]

        enum CodingKeys: Int, CodingKey { case exponent, length, isNegative, isCompact, mantissa }

        static let notANumber = Decimal(exponent: 0, length: 0, isNegative: true, isCompact: true, mantissa: .zeros)
    }
}

extension [UInt16] {
    fileprivate static var zeros: [UInt16] { [UInt16](repeating: 0, count: 8) }
}

extension CBORKnownType {
    /// A value as a CBOR item. If nil, its type's own form must be written.
    ///
    /// - Parameter value: of the type that this case names.
    func item(of value: some Encodable) throws -> CBORWriter? {
        let out = CBORWriter(capacity: 48)
        switch self {
        case .bytes:
            guard let collection = value as? any RandomAccessCollection, let bytes = bytes(of: collection) else {
                return nil
            }
            out.write(bytes)
        case .date:
            guard let seconds = try? content(of: value).double(at: 0) else { return nil }
            if let time = CBORTime(sinceReference: seconds) {
                out.write(tag: CBORTag.timeText)
                out.write(time.text)
            } else {
                out.write(tag: CBORTag.timeNumber)
                out.write(seconds + Double(CBORTime.secondsFrom1970))
            }
        case .uuid:
            guard let bytes = try? CBORWriter.bytes(ofUUID: content(of: value).string(at: 0)) else { return nil }
            out.write(tag: CBORTag.uuid)
            out.write(bytes)
        case .url:
            // Relative to another one: two texts, which no tag has.
            guard let url: FoundationContent.URL = try? decoded(content(of: value)), url.base.isEmpty else {
                return nil
            }
            out.write(tag: CBORTag.url)
            out.write(url.relative)
        case .decimal:
            guard let content: FoundationContent.Decimal = try? decoded(content(of: value)) else { return nil }
            out.write(content)
        }
        return out
    }

    /// What a value encodes by itself.
    private func content(of value: some Encodable) throws -> CBORReader {
        let root = CBORValueEncoder(into: CBORWriter(capacity: 96))
        try value.encode(to: root)
        try root.finish()
        return CBORReader(try root.out.assembled())
    }

    private func decoded<Content: Decodable>(_ content: CBORReader) throws -> Content {
        try Content(from: CBORValueDecoder(content, at: 0, above: nil, key: nil))
    }

    private func bytes<Bytes: RandomAccessCollection>(of value: Bytes) -> [UInt8]? {
        guard Bytes.Element.self == UInt8.self else { return nil }
        // Proof: the elements are UInt8. (`as?` would look at each.)
        return unsafeBitCast(Array(value), to: [UInt8].self)
    }
}

extension CBORKnownType {
    /// What a value's own `init(from:)` must read instead of the item at an offset. If nil, it must read the item.
    func content(at offset: Int, of reader: CBORReader) throws(CBORMismatch) -> CBORReader? {
        guard let head = reader.item(at: offset) else { throw .otherType }
        let out = CBORWriter(capacity: 48)
        switch (self, head.major) {
        case (.bytes, _):
            return nil
        case (.date, _):
            out.write(try reader.secondsSinceReference(at: offset))
        case (.uuid, .bytes):
            guard !reader.isNumbers(at: offset) else { throw .otherType }
            out.write(try CBORWriter.uuid(of: reader.rawBytes(at: offset)))
        case (.url, .text):
            return try content(FoundationContent.URL(relative: try reader.string(at: offset)))
        case (.decimal, .unsigned), (.decimal, .negative), (.decimal, .bytes), (.decimal, .array), (.decimal, .simple):
            return try content(try reader.foundationDecimal(at: offset))
        default:
            return nil
        }
        return CBORReader(out.bytes)
    }

    private func content(_ value: some Encodable) throws(CBORMismatch) -> CBORReader {
        guard let bytes = try? CBORCodec().encode(value) else { throw .outOfRange }
        return CBORReader(bytes)
    }

    /// A collection of the bytes at an offset; nil when they are no byte string.
    func collection<Value>(_ type: Value.Type, at offset: Int, of reader: CBORReader) throws(CBORMismatch) -> Value? {
        guard case .bytes = self, reader.item(at: offset)?.major == .bytes,
            let collection = type as? any RangeReplaceableCollection.Type
        else { return nil }
        return made(collection, of: try reader.byteString(at: offset)) as? Value
    }

    private func made<Bytes: RangeReplaceableCollection>(_: Bytes.Type, of bytes: [UInt8]) -> Any? {
        guard Bytes.Element.self == UInt8.self else { return nil }
        // Proof: the elements are UInt8.
        return Bytes(unsafeBitCast(bytes, to: [Bytes.Element].self))
    }
}

extension CBORReader {
    fileprivate func secondsSinceReference(at offset: Int) throws(CBORMismatch) -> Double {
        switch tag(at: offset) {
        case CBORTag.timeText:
            guard let time = CBORTime(try string(at: offset)) else { throw .outOfRange }
            return time.sinceReference
        case CBORTag.dayText:
            guard let time = CBORTime(try string(at: offset), isDay: true) else { throw .outOfRange }
            return time.sinceReference
        case CBORTag.timeNumber:
            return try double(at: offset) - Double(CBORTime.secondsFrom1970)
        case CBORTag.dayNumber:
            return try double(at: offset) * 86_400 - Double(CBORTime.secondsFrom1970)
        default:
            // Seconds since 1970 or since 2001, milliseconds: a number alone does not say.
            throw .noTime
        }
    }

    /// A decimal fraction, an integer, or a float by its shortest digits.
    fileprivate func foundationDecimal(at offset: Int) throws(CBORMismatch) -> FoundationContent.Decimal {
        guard item(at: offset)?.major == .simple else {
            guard item(at: offset)?.major == .array else { return try .init(try wideInteger(at: offset), exponent: 0) }
            let (exponent, mantissa) = try decimalParts(at: offset)
            return try .init(mantissa, exponent: exponent)
        }
        let number = try double(at: offset)
        guard !number.isNaN else { return .notANumber }
        guard number.isFinite else { throw .outOfRange }
        // 1.5e-07 is 15 and -8.
        let halves = number.magnitude.description.split(separator: "e")
        let mantissa = halves[0].split(separator: ".")
        guard let digits = UInt128(mantissa.joined()), let exponent = halves.count > 1 ? Int(halves[1]) : 0 else {
            throw .outOfRange
        }
        return try .init(
            CBORWideInteger(isNegative: number < 0, magnitude: digits),
            exponent: exponent - (mantissa.count > 1 ? mantissa[1].utf8.count : 0))
    }
}

extension FoundationContent.Decimal {
    /// Throws `.outOfRange` where 38 digits or an exponent of -128 to 127 do not hold it exactly.
    fileprivate init(_ number: CBORWideInteger, exponent: Int) throws(CBORMismatch) {
        var magnitude = number.magnitude
        var exponent = magnitude == 0 ? 0 : exponent
        guard exponent.magnitude < 1000 else { throw .outOfRange }
        while exponent > 127, !magnitude.multipliedReportingOverflow(by: 10).overflow {
            (magnitude, exponent) = (magnitude * 10, exponent - 1)
        }
        while exponent < 0, magnitude % 10 == 0, magnitude > 0 {
            (magnitude, exponent) = (magnitude / 10, exponent + 1)
        }
        guard let exponent = Int8(exactly: exponent) else { throw .outOfRange }
        mantissa = (0..<8).map { UInt16(truncatingIfNeeded: magnitude >> ($0 * 16)) }
        length = UInt32((mantissa.lastIndex { $0 != 0 } ?? -1) + 1)
        self.exponent = Int32(exponent)
        isNegative = number.isNegative && magnitude > 0
        isCompact = magnitude % 10 != 0
    }
}

extension CBORWriter {
    /// Equal numbers have equal bytes: no zeros at the end of the mantissa, unless that lets the exponent be 0.
    fileprivate func write(_ decimal: FoundationContent.Decimal) {
        guard decimal.length > 0 || !decimal.isNegative else { return write(Double.nan) }
        var magnitude = decimal.mantissa.prefix(Int(clamping: decimal.length)).reversed()
            .reduce(UInt128(0)) { $0 << 16 | UInt128($1) }
        var exponent = magnitude == 0 ? 0 : Int(decimal.exponent)
        while magnitude > 0, magnitude % 10 == 0 { (magnitude, exponent) = (magnitude / 10, exponent + 1) }
        if (1...19).contains(exponent), let whole = UInt64(exactly: magnitude) {
            let power = (0..<exponent).reduce(UInt64(1)) { power, _ in power * 10 }
            let (whole, overflow) = whole.multipliedReportingOverflow(by: power)
            if !overflow { (magnitude, exponent) = (UInt128(whole), 0) }
        }
        write(tag: CBORTag.decimal)
        writeHead(.array, 2)
        write(exponent)
        write(CBORWideInteger(isNegative: decimal.isNegative, magnitude: magnitude))
    }

    fileprivate static func bytes(ofUUID text: String) -> [UInt8]? {
        let digits = text.filter { $0 != "-" }.compactMap(\.hexDigitValue)
        guard digits.count == 32 else { return nil }
        return (0..<16).map { UInt8(digits[$0 * 2] << 4 | digits[$0 * 2 + 1]) }
    }

    fileprivate static func uuid(of bytes: [UInt8]) throws(CBORMismatch) -> String {
        guard bytes.count == 16 else { throw .otherType }
        let digits = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) }
        return [digits[0..<4], digits[4..<6], digits[6..<8], digits[8..<10], digits[10...]].map { $0.joined() }
            .joined(separator: "-")
    }
}
