// Base64 (RFC 4648, section 4) for the two keys of a WebSocket's handshake.

enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var bits: UInt32 = 0
            for place in 0..<3 { bits = bits << 8 | (place < group.count ? UInt32(group[start + place]) : 0) }
            for place in 0..<4 {
                let isPadding = place > group.count
                text.append(isPadding ? UInt8(ascii: "=") : alphabet[Int(bits >> UInt32(18 - 6 * place) & 63)])
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// How many bytes a text stands for.
    ///
    /// - Returns: nil if it is not Base64: another character, a wrong length or padding, bits behind the last byte that
    ///   are not zero (RFC 4648, section 3.5).
    static func decodedCount(_ text: String) -> Int? {
        let bytes = Array(text.utf8)
        guard bytes.count.isMultiple(of: 4) else { return nil }
        let padding = bytes.reversed().prefix { $0 == UInt8(ascii: "=") }.count
        guard padding <= 2, bytes.count >= padding else { return nil }
        var last = 0
        for byte in bytes.dropLast(padding) {
            guard let value = alphabet.firstIndex(of: byte) else { return nil }
            last = value
        }
        let unusedBits = padding * 2
        guard last & (1 << unusedBits - 1) == 0 else { return nil }
        return bytes.count / 4 * 3 - padding
    }
}
