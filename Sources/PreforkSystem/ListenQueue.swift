// How many connections wait to be accepted.

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

    /// Asks the kernel by sock_diag(7), which takes no lock of the socket: a process that shares it can hold that for as
    /// long as it likes, and the supervisor asks, too.
    ///
    /// - Parameter address: where it is bound. getsockname(2) takes the lock.
    package init(of listener: Int32, at address: SocketAddress) throws(SystemError) {
        do throws(SystemError) {
            self = try Self.byTables(listener, address)
        } catch {
            // ENOENT: a kernel without CONFIG_INET_DIAG. EPROTONOSUPPORT: without netlink's protocol for it.
            guard [ENOENT, EPROTONOSUPPORT].contains(error.errno.rawValue) else { throw error }
            if case .unix = address { throw error }
            self = try Self.byOption(listener)
        }
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

    /// TCP_INFO, whose tcpi_unacked and tcpi_sacked are the queue of a listening socket and its limit (net/ipv4/tcp.c).
    private static func byOption(_ listener: Int32) throws(SystemError) -> ListenQueue {
        var info = tcp_info()
        var length = socklen_t(MemoryLayout<tcp_info>.size)
        try systemCall("getsockopt", on: "TCP_INFO of listener \(listener)") {
            getsockopt(listener, Int32(IPPROTO_TCP), TCP_INFO, &info, &length)
        }
        return ListenQueue(waiting: Int(info.tcpi_unacked), limit: Int(info.tcpi_sacked))
    }
}

extension Listener {
    /// The accept queue, those of an SO_REUSEPORT group added up; nil where the kernel does not tell.
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
