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

/// The authority that was valid last. Nearly all requests of a server have the same, and to compare it takes some 65
/// instructions, where to check 15 characters takes 170 (callgrind, Swift 6.3.1).
struct KnownAuthority {
    private var bytes = (0 as UInt64, 0 as UInt64, 0 as UInt64, 0 as UInt64)
    private var count = 0

    /// As `Authority.isValid`.
    @inline(__always)
    mutating func isValid(_ authority: UnsafeRawBufferPointer) -> Bool {
        if authority.count == count, count > 0, isLast(authority) { return true }
        return isValidNow(authority)
    }

    @inline(__always)
    private func isLast(_ authority: UnsafeRawBufferPointer) -> Bool {
        withUnsafeBytes(of: bytes) { $0.part(0..<count).hasSameBytes(as: authority) }
    }

    @inline(never)
    private mutating func isValidNow(_ authority: UnsafeRawBufferPointer) -> Bool {
        guard Authority.isValid(authority) else { return false }
        if authority.count <= MemoryLayout.size(ofValue: bytes) {
            withUnsafeMutableBytes(of: &bytes) { $0.copyMemory(from: authority) }
            count = authority.count
        }
        return true
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
