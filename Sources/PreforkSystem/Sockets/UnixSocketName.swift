// The private names that Unix sockets are bound under, and the public ones that they stand for.

/// Private names of Unix sockets, and what they stand for: getsockname(2) and the clients' getpeername(2) report the
/// name under which a socket was bound.
struct UnixSocketName {
    /// The last part.
    let file: String
    let address: SocketAddress
    /// The address has no room for the directory, and is relative to it.
    let isRelative: Bool

    private static let mark = ".prefork-"

    /// `/run/.app.sock.prefork-1a2b3c4d` for `/run/app.sock`: tools that list sockets by name still find it. Where
    /// sun_path has no room, `.prefork-1a2b3c4d` in the directory.
    static func makePrivate(for path: String) -> UnixSocketName {
        let suffix = mark + FilePlace.randomSuffix()
        let parts = FilePlace.split(path)
        let long = ".\(parts.name)\(suffix)"
        let full = SocketAddress.unix(path: String(path.utf8.dropLast(parts.name.utf8.count))! + long)
        if full.withSockaddr({ _, _ in true }) != nil {
            return UnixSocketName(file: long, address: full, isRelative: false)
        }
        return UnixSocketName(file: suffix, address: .unix(path: suffix), isRelative: true)
    }

    /// The public address of a socket, whichever name it was bound under.
    static func publicAddress(of address: SocketAddress) -> SocketAddress {
        guard case .unix(let path) = address, path.utf8.count > mark.utf8.count + 8, path.utf8.first != 0 else {
            return address
        }
        let parts = FilePlace.split(path)
        let name = parts.name.utf8
        guard name.first == UInt8(ascii: "."), name.dropLast(8).suffix(mark.utf8.count).elementsEqual(mark.utf8),
            name.count > mark.utf8.count + 9,
            name.suffix(8).allSatisfy({ (48...57).contains($0) || (97...102).contains($0) })
        else { return address }
        let directory = path.utf8.dropLast(name.count)
        let own = name.dropFirst().dropLast(mark.utf8.count + 8)
        return .unix(path: String(decoding: Array(directory) + Array(own), as: UTF8.self))
    }
}
