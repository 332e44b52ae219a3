// A series as bytes, in memory that another process reads.

extension MetricDescription {
    /// | bytes | what                                                    |
    /// |-------|---------------------------------------------------------|
    /// | 4     | the length of everything behind                         |
    /// | 1     | the kind                                                |
    /// | 1     | a gauge's aggregation, or how many buckets have a bound |
    /// | 2     | how many labels                                         |
    /// | 8, 8  | a histogram's start and factor                          |
    /// | 2 + n | name, help, then a name and a value for each label      |
    package var bytes: [UInt8] {
        var bytes: [UInt8] = [0, 0, 0, 0]
        var (kindCode, detail): (UInt8, UInt8) = (0, 0)
        var (start, factor) = (0.0, 0.0)
        switch kind {
        case .counter: kindCode = 1
        case .gauge(let aggregation): (kindCode, detail) = (2, aggregation.code)
        case .histogram(let buckets):
            (kindCode, detail) = (3, UInt8(clamping: buckets.count))
            (start, factor) = (buckets.start, buckets.factor)
        }
        bytes += [kindCode, detail]
        bytes.append(littleEndian: UInt16(labels.count))
        bytes.append(littleEndian: start.bitPattern)
        bytes.append(littleEndian: factor.bitPattern)
        for text in [name, help] + labels.flatMap({ [$0.name, $0.value] }) {
            bytes.append(littleEndian: UInt16(text.utf8.count))
            bytes += text.utf8
        }
        let length = UInt32(bytes.count - 4)
        for index in 0..<4 { bytes[index] = UInt8(truncatingIfNeeded: length >> UInt32(index * 8)) }
        return bytes
    }

    /// No record is longer.
    package static let bytesLimit = 4 + 20 + 2 * (2 + mostLabels * 2) + nameLimit + 2 * textLimit

    /// Reads what another process has written. Anything may stand there.
    ///
    /// - Returns: nil if it is no description, or one that this process would refuse.
    package init?(_ bytes: ArraySlice<UInt8>) {
        var reader = ByteFields(bytes)
        guard let kindCode = reader.byte(), let detail = reader.byte(), let count: UInt16 = reader.integer(),
            let start: UInt64 = reader.integer(), let factor: UInt64 = reader.integer(),
            Int(count) <= Self.mostLabels, let name = reader.text(), let help = reader.text()
        else { return nil }
        var labels: [Label] = []
        for _ in 0..<count {
            guard let name = reader.text(), let value = reader.text() else { return nil }
            labels.append(Label(name, value))
        }
        let kind: MetricKind
        switch kindCode {
        case 1: kind = .counter
        case 2:
            guard let aggregation = SharedGauge.Aggregation(code: detail) else { return nil }
            kind = .gauge(aggregation)
        case 3:
            let (start, factor) = (Double(bitPattern: start), Double(bitPattern: factor))
            kind = .histogram(HistogramBuckets.exponential(from: start, factor: factor, count: Int(detail)))
        default: return nil
        }
        guard kind != .counter || name.hasSuffix("_total") else { return nil }
        do throws(MetricError) { try self.init(kind, name, help, labels) } catch { return nil }
    }

    /// The records at the beginning of `bytes`.
    ///
    /// - Returns: each record that could be read, with nil for one that is no description, and how many bytes they take.
    ///   If that is less than all, what follows is no record.
    package static func records(_ bytes: [UInt8]) -> (descriptions: [MetricDescription?], length: Int) {
        var (list, position): ([MetricDescription?], Int) = ([], 0)
        while position + 4 <= bytes.count {
            var reader = ByteFields(bytes[position..<position + 4])
            guard let length: UInt32 = reader.integer(), length > 0, length < UInt32(bytesLimit),
                position + 4 + Int(length) <= bytes.count
            else { break }
            list.append(MetricDescription(bytes[position + 4..<position + 4 + Int(length)]))
            position += 4 + Int(length)
        }
        return (list, position)
    }
}

/// Fields of bytes, each of which may be missing.
package struct ByteFields {
    private var rest: ArraySlice<UInt8>

    package init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    package mutating func byte() -> UInt8? { rest.popFirst() }

    /// Little-endian.
    package mutating func integer<Value: FixedWidthInteger & UnsignedInteger>() -> Value? {
        let size = Value.bitWidth / 8
        guard rest.count >= size else { return nil }
        var value: Value = 0
        for byte in rest.prefix(size).reversed() { value = value << 8 | Value(byte) }
        rest = rest.dropFirst(size)
        return value
    }

    /// Two bytes of length, then UTF-8.
    package mutating func text() -> String? {
        guard let count: UInt16 = integer(), rest.count >= Int(count) else { return nil }
        defer { rest = rest.dropFirst(Int(count)) }
        return String(validating: rest.prefix(Int(count)), as: UTF8.self)
    }
}

extension [UInt8] {
    /// Little-endian.
    package mutating func append<Value: FixedWidthInteger>(littleEndian value: Value) {
        for index in 0..<(Value.bitWidth / 8) { append(UInt8(truncatingIfNeeded: value >> Value(index * 8))) }
    }
}

extension SharedGauge.Aggregation {
    fileprivate var code: UInt8 {
        switch self {
        case .sum: 1
        case .max: 2
        case .last: 3
        case .live: 4
        }
    }

    fileprivate init?(code: UInt8) {
        switch code {
        case 1: self = .sum
        case 2: self = .max
        case 3: self = .last
        case 4: self = .live
        default: return nil
        }
    }
}
