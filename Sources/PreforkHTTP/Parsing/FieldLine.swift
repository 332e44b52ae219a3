// One line of a head or of trailers.

/// Reads a field line (RFC 9112, 5).
enum FieldLine {
    /// - Parameters:
    ///   - bytes: of the head.
    ///   - start: where the line begins.
    ///   - end: where its CRLF stands.
    /// - Returns: nil for a line that is no field: folded, without a colon, with a space before the colon, or with a
    ///   control character.
    @inline(__always)
    static func parse(_ bytes: UnsafeRawBufferPointer, from start: Int, to end: Int) -> HTTPFields.Entry? {
        var colon = start
        while colon < end, bytes[colon].isToken { colon += 1 }
        guard colon > start, colon < end, bytes[colon] == UInt8(ascii: ":") else { return nil }
        var (first, last) = (colon + 1, end)
        while first < last, bytes[first] == .space || bytes[first] == .tab { first += 1 }
        while last > first, bytes[last - 1] == .space || bytes[last - 1] == .tab { last -= 1 }
        if bytes.part(first..<last).hasForbidden { return nil }
        return HTTPFields.Entry(
            nameStart: UInt32(truncatingIfNeeded: start), nameEnd: UInt32(truncatingIfNeeded: colon),
            valueStart: UInt32(truncatingIfNeeded: first), valueEnd: UInt32(truncatingIfNeeded: last))
    }
}
