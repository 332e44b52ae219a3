// The number of connections that wait to be accepted.

import CPrefork
import Glibc

/// The accept queue of a listening socket.
package struct ListenQueue: Hashable, Sendable {
    /// Connections that wait.
    package var waiting: Int
    /// How many may.
    package var limit: Int

    init(waiting: Int, limit: Int) {
        self.waiting = waiting
        self.limit = limit
    }

    /// Asks the kernel by sock_diag(7), which takes no lock of the socket: a process that shares it can hold that for
    /// as long as it likes, and the supervisor asks, too. So TCP_INFO, which takes the lock, is no way out.
    ///
    /// - Parameter address: where it is bound. getsockname(2) takes the lock.
    /// - Throws: ENOENT by a kernel without CONFIG_INET_DIAG or CONFIG_UNIX_DIAG, EPROTONOSUPPORT by one without the
    ///   protocol.
    package init(of listener: Int32, at address: SocketAddress) throws(SystemError) {
        self = try Self.byTables(listener, address)
    }

    private static func byTables(_ listener: Int32, _ address: SocketAddress) throws(SystemError) -> ListenQueue {
        var waiting: UInt32 = 0
        var limit: UInt32 = 0
        try systemCall("sock_diag", on: "listener \(listener)") {
            if case .unix = address { return cprefork_unix_listen_queue(listener, &waiting, &limit) }
            return cprefork_tcp_listen_queue(listener, address.family, &waiting, &limit)
        }
        return ListenQueue(waiting: Int(waiting), limit: Int(limit))
    }
}

extension Listener {
    /// The accept queue, or the sum of the queues of an SO_REUSEPORT group. Nil if the kernel does not report it.
    package var queue: ListenQueue? {
        let queues = sockets.compactMap { try? ListenQueue(of: $0, at: address) }
        guard var sum = queues.first else { return nil }
        for queue in queues.dropFirst() {
            sum.waiting += queue.waiting
            sum.limit += queue.limit
        }
        return sum
    }
}
