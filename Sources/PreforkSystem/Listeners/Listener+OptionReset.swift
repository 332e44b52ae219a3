// Socket options that another process with a listener may have changed, restored by each new worker.

import Glibc

extension Listener {
    /// Restores all listeners of this process. A worker calls it after it has dropped its privileges: these calls take
    /// the socket's lock, which another process with the socket can hold for as long as it likes. The supervisor must
    /// not make them.
    ///
    /// A listening socket is one open file of all workers, and accepted sockets inherit its options (tcp(7),
    /// socket(7)): SO_LINGER makes close(2) of a connection wait, SO_RCVLOWAT keeps short requests from being seen, a
    /// small buffer makes every connection slow, SO_PASSRIGHTS lets clients send descriptors. The options of a
    /// compromised worker would outlive it.
    package static func restoreAll() {
        restoreOptions()
        for listener in all { listener.restore() }
    }

    private func restore() {
        for socket in sockets {
            try? setNonBlocking(socket)
            // A backlog of 0 gets its length back.
            if !isNew(socket) { try? Socket.listen(socket, backlog: backlog, on: address) }
            var linger = Glibc.linger()
            _ = setsockopt(socket, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
            set(SO_RCVLOWAT, at: SOL_SOCKET, to: 1, of: socket)
            guard case .unix = address else {
                set(TCP_DEFER_ACCEPT, at: Int32(IPPROTO_TCP), to: 0, of: socket)
                set(TCP_NODELAY, at: Int32(IPPROTO_TCP), to: 1, of: socket)
                continue
            }
            // A worker may have let them in: connections that were made meanwhile still take them.
            Socket.refuseDescriptors(socket)
        }
    }

    private func set(_ option: Int32, at level: Int32, to value: Int32, of socket: Int32) {
        var value = value
        _ = setsockopt(socket, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
    }
}
