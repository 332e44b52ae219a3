// The fields of a connection's state as bytes, and back. Another process reads them: each field is checked.

import PreforkSystem

/// Puts fields behind one another: integers with the lowest byte first, runs of bytes with their length in front.
struct StateWriter {
    private(set) var bytes: [UInt8] = []

    mutating func append(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func append(_ run: some Collection<UInt8>) {
        append(UInt32(clamping: run.count))
        bytes.append(contentsOf: run)
    }

    mutating func append(_ duration: Duration) { append(duration.saturatedNanoseconds) }

    mutating func append(_ address: SocketAddress) {
        switch address {
        case .ipv4(let address, let port):
            append(UInt8(4))
            append(address)
            append(port)
        case .ipv6(let high, let low, let port, let scope):
            append(UInt8(6))
            append(high)
            append(low)
            append(port)
            append(scope)
        case .unix(let path):
            append(UInt8(1))
            append(Array(path.utf8))
        case .other(let family):
            append(UInt8(0))
            append(family)
        }
    }
}

/// Takes the fields of a `StateWriter` in their order.
struct StateReader {
    /// A field is missing, or has a value that no writer writes.
    struct Damage: Error {}

    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    mutating func integer<Value: FixedWidthInteger>(_ type: Value.Type = Value.self) throws(Damage) -> Value {
        let count = Value.bitWidth / 8
        guard rest.count >= count else { throw Damage() }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count).reversed().reduce(0) { $0 << 8 | Value(truncatingIfNeeded: $1) }
    }

    /// An integer that must be in a range.
    mutating func integer<Value: FixedWidthInteger>(in range: ClosedRange<Value>) throws(Damage) -> Value {
        let value = try integer(Value.self)
        guard range.contains(value) else { throw Damage() }
        return value
    }

    mutating func flag() throws(Damage) -> Bool { try integer(in: UInt8(0)...1) == 1 }

    /// - Parameter limit: in bytes.
    mutating func run(limit: Int) throws(Damage) -> [UInt8] {
        let count = Int(try integer(UInt32.self))
        guard count <= limit, count <= rest.count else { throw Damage() }
        defer { rest = rest.dropFirst(count) }
        return [UInt8](rest.prefix(count))
    }

    /// A time that has passed or is still left.
    mutating func duration() throws(Damage) -> Duration { .nanoseconds(try integer(in: Int64(0)...Int64.max)) }

    mutating func address() throws(Damage) -> SocketAddress {
        switch try integer(UInt8.self) {
        case 4: return .ipv4(try integer(), port: try integer())
        case 6: return .ipv6(try integer(), try integer(), port: try integer(), scope: try integer())
        // sun_path of unix(7).
        case 1: return .unix(path: String(decoding: try run(limit: 108), as: UTF8.self))
        case 0: return .other(family: try integer())
        default: throw Damage()
        }
    }

    /// No field may follow.
    func end() throws(Damage) {
        guard rest.isEmpty else { throw Damage() }
    }
}
