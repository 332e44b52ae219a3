// Which users may send commands to the control socket.

package import PreforkSystem

/// The users that the control socket lets in: root, the supervisor's user, and the owner of the socket's file.
///
/// The kernel identifies the connected process (SO_PEERCRED), whatever the file's mode is by now, and whichever process
/// was handed a descriptor.
package struct ControlAudience: Equatable, Sendable {
    private var user: UInt32?
    private var group: UInt32?

    package init() {}

    /// - Throws: EINVAL, with the name, for an owner that does not exist.
    package init(_ owner: SocketOwner, at path: String) throws(SystemError) {
        let numbers = try owner.numbers(for: .unix(path: path))
        user = numbers.user == .max ? nil : numbers.user
        group = numbers.group == .max ? nil : numbers.group
    }

    func includes(_ socket: Int32) -> Bool {
        guard let peer = try? PeerCredentials(of: socket) else { return false }
        if peer.isOwnUserOrRoot || peer.user == user { return true }
        guard let group else { return false }
        return peer.group == group || (try? peer.groups(of: socket))?.contains(group) == true
    }

    /// Whether workers with these rights are let in. They would have the supervisor's rights by that.
    func includes(user other: UInt32?, groups: [UInt32]) -> Bool {
        (other != nil && other == user) || groups.contains { $0 == group }
    }
}

extension ControlAudience: CustomStringConvertible {
    /// `the supervisor's user, root, user 1000 and group 27`
    package var description: String {
        let others = [user.map { "user \($0)" }, group.map { "group \($0)" }].compactMap { $0 }
        let all = ["the supervisor's user", "root"] + others
        return all.dropLast().joined(separator: ", ") + " and \(all[all.count - 1])"
    }
}
