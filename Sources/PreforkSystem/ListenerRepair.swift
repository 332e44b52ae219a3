// A listener that another process with the same socket has shut down.

import Glibc

extension Listener {
    /// Makes `descriptor` listen again, at the same address, after another process has ended that by shutdown(2).
    ///
    /// TCP only: shutdown(2) takes a TCP listener back to a bound socket (inet_shutdown), and a Unix one to its end.
    ///
    /// - Returns: whether it listens.
    package func listenAgain() -> Bool {
        if case .unix = address { return false }
        let socket = descriptor
        do throws(SystemError) {
            if try Socket.option(socket, level: SOL_SOCKET, SO_ACCEPTCONN, name: "SO_ACCEPTCONN") != 0 { return true }
            // A port that the kernel has chosen was given back. EINVAL: the socket has its port still.
            try? Socket.bind(socket, to: address)
            try Socket.listen(socket, backlog: backlog, on: address)
            return try Socket.localAddress(socket) == address
        } catch {
            return false
        }
    }
}
