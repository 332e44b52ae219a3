// A listener that another process with the same socket has shut down.

import Glibc

extension Listener {
    /// Makes `descriptor` listen again at the same address, after another process has ended listening by shutdown(2)
    /// and perhaps connected the socket to a peer.
    ///
    /// TCP only: shutdown(2) takes a TCP listener back to a bound socket (inet_shutdown), and a Unix one to its end.
    ///
    /// - Returns: whether it listens.
    package func listenAgain() -> Bool {
        listenAgain(descriptor)
    }

    /// - Parameter socket: one of the listener's.
    package func listenAgain(_ socket: Int32) -> Bool {
        if case .unix = address { return false }
        do throws(SystemError) {
            if try Socket.option(socket, level: SOL_SOCKET, SO_ACCEPTCONN, name: "SO_ACCEPTCONN") != 0 { return true }
            // One that is connected, or was, never listens: EINVAL, also when the process that did it is gone.
            try? Socket.disconnect(socket)
            // A port that the kernel has chosen was given back. EINVAL: the socket has its port still.
            try? Socket.bind(socket, to: address)
            try Socket.listen(socket, backlog: backlog, on: address)
            // The port alone: of a socket that was connected when an image took it over, the rest was another one.
            return try Socket.localAddress(socket).port == address.port
        } catch {
            return false
        }
    }
}
