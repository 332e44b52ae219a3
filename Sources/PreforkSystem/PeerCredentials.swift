// Who is at the other end of a Unix socket, by the kernel's word.

import Glibc

/// The process that connected to a Unix socket, as it was then.
package struct PeerCredentials: Hashable, Sendable {
    package var pid: Int32
    package var user: UInt32
    package var group: UInt32

    /// Asks the kernel (SO_PEERCRED, unix(7)).
    package init(of socket: Int32) throws(SystemError) {
        // struct ucred is hidden without _GNU_SOURCE: three words, pid, uid and gid.
        var words: (Int32, UInt32, UInt32) = (0, 0, 0)
        var length = socklen_t(MemoryLayout.size(ofValue: words))
        try systemCall("getsockopt", on: "SO_PEERCRED of socket \(socket)") {
            getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &words, &length)
        }
        (pid, user, group) = words
    }

    /// Whether it may do what this process may: the same user, or root.
    package var isOwnUserOrRoot: Bool {
        user == 0 || user == geteuid()
    }
}
