// A host and its port.

/// The value of a Host field, and what stands behind `http://` (RFC 3986, 3.2).
enum Authority {
    /// A name, an IPv4 address or an IPv6 address in brackets, and perhaps a port. Without user information, which no
    /// http URI may have (RFC 9110, 4.2.4), and without a comma, in which a list of two hosts could hide.
    static func isValid(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var position = 0
        if bytes.first == UInt8(ascii: "[") {
            position = 1
            while position < bytes.count, bytes[position].isAddress { position += 1 }
            guard position > 1, position < bytes.count, bytes[position] == UInt8(ascii: "]") else { return false }
            position += 1
        } else {
            while position < bytes.count, bytes[position].isHost { position += 1 }
            guard position > 0 else { return false }
        }
        if position == bytes.count { return true }
        guard bytes[position] == UInt8(ascii: ":"), bytes.count - position <= 6 else { return false }
        return bytes.part(position + 1..<bytes.count).allSatisfy(\.isDigit)
    }
}

extension UInt8 {
    /// unreserved, sub-delims but the comma, and the sign of percent-encoding: `!$%&'()*+-.;=_~`, letters and digits. A
    /// bit for each of the 128 characters of ASCII.
    @inline(__always)
    fileprivate var isHost: Bool {
        let characters: UInt64 = self < 64 ? 0x2BFF_6FF2_0000_0000 : 0x47FF_FFFE_87FF_FFFE
        return self < 128 && (characters &>> UInt64(self & 63)) & 1 != 0
    }

    /// Of an IPv6 address.
    fileprivate var isAddress: Bool {
        hexadecimal != nil || self == UInt8(ascii: ":") || self == UInt8(ascii: ".")
    }
}
