// A request that has begun, and the ID of the trace that it belongs to.

/// A request that a worker has in hand, until `end()`.
///
/// It is a small value without an owner: it may be copied, kept, and ended on any thread.
public struct RequestMark: @unchecked Sendable {
    // Sendable: the address of memory that is never freed (see `RequestRing.own`), and two numbers.
    let own: UnsafeMutablePointer<RequestRingState>
    let slot: Int
    let sequence: UInt64

    /// Ends the request. From any thread.
    ///
    /// To end it twice, or after its slot has gone to another request, changes nothing. The one exception is a request
    /// that found all slots taken and was counted only: to end it twice makes the count of requests in flight too
    /// small by one.
    @inline(__always)
    public func end() { ring.end(slot, sequence) }

    private var ring: RequestRing { RequestRing(own: own) }
}

extension RequestRing {
    @inline(__always)
    init(own: UnsafeMutablePointer<RequestRingState>) { self.own = own }
}

/// The ID of a trace, 16 bytes, as in the field `traceparent` (W3C Trace Context).
public struct TraceID: Hashable, Sendable {
    /// The first eight bytes of the ID, the first of them highest (big-endian).
    public var high: UInt64
    /// The last eight bytes of the ID, big-endian.
    public var low: UInt64

    /// - Parameters:
    ///   - high: the first eight bytes, the first of them highest.
    ///   - low: the other eight.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Reads 32 hexadecimal digits.
    ///
    /// - Parameter text: the ID alone, or a whole `traceparent`, whose second part is the ID.
    /// - Returns: nil for another text, and for the ID zero, which is not valid.
    public init?(_ text: some StringProtocol) {
        var digits = text.utf8[...]
        // 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
        if digits.count > 35, digits.dropFirst(2).first == UInt8(ascii: "-"),
            digits.dropFirst(35).first == UInt8(ascii: "-")
        {
            digits = digits.dropFirst(3).prefix(32)
        }
        guard digits.count == 32, let high = Self.number(digits.prefix(16)), let low = Self.number(digits.suffix(16)),
            high | low != 0
        else { return nil }
        self.init(high: high, low: low)
    }

    /// UInt64 reads a sign, too.
    private static func number(_ digits: some Collection<UInt8>) -> UInt64? {
        var number: UInt64 = 0
        for digit in digits {
            let value: UInt8
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = digit - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = digit - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): value = digit - UInt8(ascii: "A") + 10
            default: return nil
            }
            number = number << 4 | UInt64(value)
        }
        return number
    }
}

extension TraceID: CustomStringConvertible {
    /// 32 hexadecimal digits in lower case.
    public var description: String { Self.text(high) + Self.text(low) }

    private static func text(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
