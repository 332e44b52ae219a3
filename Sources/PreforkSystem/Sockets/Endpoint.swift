// The address to bind a listener to, and the owner of its file.

/// Where a listener is bound.
public enum Endpoint: Hashable, Sendable {
    /// A host name or numeric address and a port. Port 0 takes a free one (see `Listener.address`). The host `::` and
    /// the empty host accept IPv4 and IPv6 alike. A name that stands for several addresses is bound to the first that
    /// can be.
    case tcp(String, UInt16)
    /// A Unix socket in the file system, with the permission bits of its path, 0...0o777, and its owner. A path has at
    /// most 107 bytes (unix(7)).
    case unix(String, mode: UInt32 = 0o600, owner: SocketOwner = .unchanged)
}

/// The owner of a Unix socket's file. To connect, a client needs the right to write to it (unix(7)): a web server in
/// front gets it by `mode: 0o660` and its group.
public struct SocketOwner: Hashable, Sendable {
    /// A user's name or its number. If nil, the user that binds the socket. Another one needs root (CAP_CHOWN).
    public var user: String?
    /// A group's name or its number. If nil, the group of the process that binds the socket, or of the directory if
    /// that has the set-group-ID bit. A process that is not root may give the file only to groups it belongs to.
    public var group: String?

    /// An owner by user, by group, or by both.
    ///
    /// The names are looked up when the listener is bound. Binding throws EINVAL for a name that is neither an account
    /// nor a number, and EPERM if the process may not give the file away.
    ///
    /// - Parameters:
    ///   - user: a name or a number. If nil, the user that binds the socket.
    ///   - group: a name or a number. If nil, the group of the process or of the directory: see `group`.
    public init(user: String? = nil, group: String? = nil) {
        self.user = user
        self.group = group
    }

    /// The user and the group of the process that binds the socket.
    public static let unchanged = SocketOwner()
}

extension Endpoint: CustomStringConvertible {
    /// Part of what names a listener in a handover, which builds of other versions read: what is not set is not said.
    public var description: String {
        switch self {
        case .tcp(let host, let port): "tcp(\(host.debugDescription), \(port))"
        case .unix(let path, let mode, let owner):
            owner == .unchanged
                ? "unix(\(path.debugDescription), mode: \(mode))"
                : "unix(\(path.debugDescription), mode: \(mode), owner: \(owner.description))"
        }
    }
}

extension SocketOwner: CustomStringConvertible {
    /// As in chown(1): `www-data`, `:www-data`, `app:www-data`.
    public var description: String { (user ?? "") + (group.map { ":\($0)" } ?? "") }
}

extension Endpoint {
    /// A Unix socket of this owner, whose group gets the right to connect. Others stay as they are.
    package func owned(by owner: SocketOwner) -> Endpoint {
        guard case .unix(let path, let mode, _) = self else { return self }
        return .unix(path, mode: owner.group == nil ? mode : mode | 0o060, owner: owner)
    }
}

extension SocketOwner {
    /// The numbers for fchownat(2), of which -1 leaves as it is.
    package struct Numbers: Hashable, Sendable {
        package var user = UInt32.max
        package var group = UInt32.max

        package init(user: UInt32 = .max, group: UInt32 = .max) {
            self.user = user
            self.group = group
        }
    }

    /// Looks up the names: a name that is not an account's must be a number.
    ///
    /// - Throws: EINVAL, with the name, for one that is neither.
    package func numbers(for address: SocketAddress) throws(SystemError) -> Numbers {
        var numbers = Numbers()
        if let user {
            guard let number = try Accounts.user(named: user)?.uid ?? Self.number(user) else {
                throw SystemError("getpwnam_r", .invalidArgument, on: "\(address): no user \(Escaping.brief(user))")
            }
            numbers.user = number
        }
        if let group {
            guard let number = try Accounts.group(named: group) ?? Self.number(group) else {
                throw SystemError("getgrnam_r", .invalidArgument, on: "\(address): no group \(Escaping.brief(group))")
            }
            numbers.group = number
        }
        return numbers
    }

    /// The greatest one means "leave it" (chown(2)).
    private static func number(_ text: String) -> UInt32? {
        UInt32(text).flatMap { $0 == .max || text.utf8.first == UInt8(ascii: "+") ? nil : $0 }
    }
}
