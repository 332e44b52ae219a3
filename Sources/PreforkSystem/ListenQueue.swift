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

    /// Asks the kernel: TCP_INFO, whose tcpi_unacked and tcpi_sacked are the queue of a listening socket and its limit
    /// (net/ipv4/tcp.c); for Unix sockets sock_diag(7), the only way there is.
    package init(of listener: Int32) throws(SystemError) {
        if case .unix = try Socket.localAddress(listener) {
            var waiting: UInt32 = 0
            var limit: UInt32 = 0
            try systemCall("sock_diag", on: "listener \(listener)") {
                cprefork_unix_listen_queue(listener, &waiting, &limit)
            }
            (self.waiting, self.limit) = (Int(waiting), Int(limit))
            return
        }
        var info = tcp_info()
        var length = socklen_t(MemoryLayout<tcp_info>.size)
        try systemCall("getsockopt", on: "TCP_INFO of listener \(listener)") {
            getsockopt(listener, Int32(IPPROTO_TCP), TCP_INFO, &info, &length)
        }
        (waiting, limit) = (Int(info.tcpi_unacked), Int(info.tcpi_sacked))
    }
}

extension Listener {
    /// The accept queue, those of an SO_REUSEPORT group added up; nil where the kernel does not tell.
    package var queue: ListenQueue? {
        let queues = sockets.compactMap { try? ListenQueue(of: $0) }
        guard var sum = queues.first else { return nil }
        for queue in queues.dropFirst() {
            sum.waiting += queue.waiting
            sum.limit += queue.limit
        }
        return sum
    }
}
