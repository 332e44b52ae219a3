// The address of a socket or of its peer, as a value.

package import Glibc

/// An address of a socket.
public enum SocketAddress: Hashable, Sendable {
    /// IPv4: the address with its first byte highest, and the port.
    case ipv4(UInt32, port: UInt16)
    /// IPv6: the upper and lower half of the address, the port, and the scope (interface) of link-local addresses.
    case ipv6(UInt64, UInt64, port: UInt16, scope: UInt32)
    /// A Unix socket's path. Empty for an unnamed socket, which clients usually have. A name that starts with NUL is
    /// abstract.
    case unix(path: String)
    /// Of a family that this package does not know.
    case other(family: UInt16)

    /// The port of an IP address, or nil for other addresses.
    public var port: UInt16? {
        switch self {
        case .ipv4(_, let port), .ipv6(_, _, let port, _): port
        case .unix, .other: nil
        }
    }
}

extension SocketAddress: CustomStringConvertible {
    /// `127.0.0.1:8080`, `[::1]:8080`, `unix:/run/app.sock`.
    public var description: String {
        switch self {
        case .ipv4(let address, let port):
            "\(address >> 24).\(address >> 16 & 255).\(address >> 8 & 255).\(address & 255):\(port)"
        case .ipv6(_, _, let port, let scope):
            "[\(ipv6Text)\(scope == 0 ? "" : "%\(scope)")]:\(port)"
        case .unix(let path):
            // A client chooses its own name, and an abstract one may have any byte in it (unix(7)).
            "unix:" + ForeignText(path.utf8.first == 0 ? "@" + path.dropFirst() : path).escaped(for: .log)
        case .other(let family):
            "address of family \(family)"
        }
    }

    private var ipv6Text: String {
        guard case .ipv6(let high, let low, _, _) = self else { return "" }
        var bytes = [high.bigEndian, low.bigEndian]
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(AF_INET6, &bytes, &text, socklen_t(text.count)) != nil else { return "?" }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

extension SocketAddress {
    /// Reads what the kernel wrote. `length` comes from the kernel and shows, for Unix sockets, where the path ends.
    package init(_ storage: sockaddr_storage, length: socklen_t) {
        self = withUnsafeBytes(of: storage) { bytes in
            // All loads are within sockaddr_storage (128 bytes), which is larger than each of the three.
            switch Int32(storage.ss_family) {
            case AF_INET where length >= MemoryLayout<sockaddr_in>.size:
                let address = bytes.load(as: sockaddr_in.self)
                return .ipv4(UInt32(bigEndian: address.sin_addr.s_addr), port: UInt16(bigEndian: address.sin_port))
            case AF_INET6 where length >= MemoryLayout<sockaddr_in6>.size:
                let address = bytes.load(as: sockaddr_in6.self)
                let high = bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
                let low = bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
                return .ipv6(
                    UInt64(bigEndian: high), UInt64(bigEndian: low),
                    port: UInt16(bigEndian: address.sin6_port), scope: address.sin6_scope_id)
            case AF_UNIX:
                let path = bytes[2..<max(2, min(Int(length), bytes.count))]
                let isAbstract = path.first == 0
                return .unix(path: String(decoding: isAbstract ? path : path.prefix { $0 != 0 }, as: UTF8.self))
            default:
                return .other(family: storage.ss_family)
            }
        }
    }

    /// Calls `body` with the address as the kernel expects it. Nil for a path that does not fit into sun_path.
    package func withSockaddr<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result? {
        var storage = sockaddr_storage()
        guard let length = fill(&storage) else { return nil }
        return withUnsafePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }

    private func fill(_ storage: inout sockaddr_storage) -> socklen_t? {
        withUnsafeMutableBytes(of: &storage) { bytes in
            // Offsets of sockaddr_in, sockaddr_in6 and sockaddr_un (ip(7), ipv6(7), unix(7)), all within 128 bytes.
            switch self {
            case .ipv4(let address, let port):
                bytes.storeBytes(of: sa_family_t(AF_INET), as: sa_family_t.self)
                bytes.storeBytes(of: port.bigEndian, toByteOffset: 2, as: UInt16.self)
                bytes.storeBytes(of: address.bigEndian, toByteOffset: 4, as: UInt32.self)
                return socklen_t(MemoryLayout<sockaddr_in>.size)
            case .ipv6(let high, let low, let port, let scope):
                bytes.storeBytes(of: sa_family_t(AF_INET6), as: sa_family_t.self)
                bytes.storeBytes(of: port.bigEndian, toByteOffset: 2, as: UInt16.self)
                bytes.storeBytes(of: high.bigEndian, toByteOffset: 8, as: UInt64.self)
                bytes.storeBytes(of: low.bigEndian, toByteOffset: 16, as: UInt64.self)
                bytes.storeBytes(of: scope, toByteOffset: 24, as: UInt32.self)
                return socklen_t(MemoryLayout<sockaddr_in6>.size)
            case .unix(let path):
                let utf8 = Array(path.utf8)
                // sun_path has 108 bytes, the last one for the NUL of a path (unix(7)).
                guard utf8.count < 108, utf8.first == 0 || !utf8.contains(0) else { return nil }
                bytes.storeBytes(of: sa_family_t(AF_UNIX), as: sa_family_t.self)
                UnsafeMutableRawBufferPointer(rebasing: bytes[2..<2 + utf8.count]).copyBytes(from: utf8)
                return socklen_t(2 + utf8.count + (utf8.first == 0 ? 0 : 1))
            case .other:
                return nil
            }
        }
    }
}
