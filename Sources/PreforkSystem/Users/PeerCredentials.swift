// The peer of a Unix socket, as the kernel reports it.

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

    /// All groups of the process that connected, as it was then: its main group, and its supplementary groups where the
    /// kernel tells them (SO_PEERGROUPS, Linux 4.13).
    package func groups(of socket: Int32) throws(SystemError) -> [UInt32] {
        var others = [UInt32](repeating: 0, count: 64)
        // ERANGE says how many there are: at most 65,536 (NGROUPS_MAX, credentials(7)), and no more or less by then.
        for _ in 0..<2 {
            var length = socklen_t(others.count * MemoryLayout<UInt32>.stride)
            do throws(SystemError) {
                try systemCall("getsockopt", on: "SO_PEERGROUPS of socket \(socket)") {
                    getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, &others, &length)
                }
                return [group] + others.prefix(Int(length) / MemoryLayout<UInt32>.stride)
            } catch where error.errno.rawValue == ERANGE {
                let count = min(Int(length) / MemoryLayout<UInt32>.stride, 1 << 16)
                others = [UInt32](repeating: 0, count: count)
            } catch where error.errno.rawValue == ENOPROTOOPT {
                break
            }
        }
        return [group]
    }

    /// Whether it may do what this process may: the same user, or root.
    package var isOwnUserOrRoot: Bool {
        user == 0 || user == geteuid()
    }
}
