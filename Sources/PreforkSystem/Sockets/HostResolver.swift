// Host names to addresses.

import Glibc

/// The addresses that a host name or a numeric address stands for, in the order of getaddrinfo(3).
///
/// Blocks while the name is looked up: for start-up, not for a worker's hot path. An empty host and `*` mean every
/// address of this machine: `::` for both families where there is IPv6, else `0.0.0.0`.
///
/// - Throws: `SystemError`: EINVAL if the host contains a NUL byte, which would end it for C, ENAMETOOLONG if it has
///   more than 1,024 bytes (NI_MAXHOST), EADDRNOTAVAIL if it is not found.
package func resolveAddresses(host: String, port: UInt16) throws(SystemError) -> [SocketAddress] {
    if host.isEmpty || host == "*" {
        return [.ipv6(0, 0, port: port, scope: 0), .ipv4(0, port: port)]
    }
    if host.utf8.contains(0) { throw SystemError("getaddrinfo", .invalidArgument, on: host) }
    if host.utf8.count > 1024 { throw SystemError("getaddrinfo", .nameTooLong, on: host) }
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = AI_PASSIVE
    var list: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(host, String(port), &hints, &list)
    guard code == 0 else {
        // Resolver codes are not errno values: the text names the cause, the errno its meaning for the caller.
        let errno = code == EAI_SYSTEM ? Errno.current : .addressNotAvailable
        let cause = String(cString: gai_strerror(code))
        throw SystemError("getaddrinfo", errno, on: "\(Escaping.brief(host)): \(cause)")
    }
    defer { freeaddrinfo(list) }
    var addresses: [SocketAddress] = []
    for entry in sequence(first: list, next: { $0?.pointee.ai_next }) {
        guard let entry, let address = SocketAddress(entry) else { break }
        addresses.append(address)
    }
    return addresses
}

/// The address of a numeric host, or nil for a name, which would need a lookup. Never blocks.
package func numericAddress(host: String, port: UInt16) -> SocketAddress? {
    // C reads a host up to its first NUL byte.
    if host.utf8.contains(0) { return nil }
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = AI_NUMERICHOST
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, String(port), &hints, &list) == 0 else { return nil }
    defer { freeaddrinfo(list) }
    return list.flatMap(SocketAddress.init)
}

extension SocketAddress {
    /// The address of one entry of getaddrinfo(3).
    fileprivate init?(_ entry: UnsafeMutablePointer<addrinfo>) {
        guard let pointer = entry.pointee.ai_addr else { return nil }
        var storage = sockaddr_storage()
        let length = min(Int(entry.pointee.ai_addrlen), MemoryLayout<sockaddr_storage>.size)
        // At most sockaddr_storage's size, out of memory that the resolver owns until freeaddrinfo.
        withUnsafeMutableBytes(of: &storage) {
            $0.copyMemory(from: UnsafeRawBufferPointer(start: pointer, count: length))
        }
        self.init(storage, length: socklen_t(length))
    }
}
