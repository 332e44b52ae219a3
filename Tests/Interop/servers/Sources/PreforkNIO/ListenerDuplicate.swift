// The inherited socket as NIO wants it: its own to close.

import Glibc
import NIOCore
import Prefork

extension Listener {
    /// A duplicate of this process's listening socket, which its taker closes: that ends accepting here, and neither
    /// in other workers nor in the supervisor, where connections go on to queue.
    ///
    /// - Throws: `IOError` when no descriptor is left.
    public func duplicate() throws -> CInt {
        let duplicate = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
        guard duplicate >= 0 else { throw IOError(errnoCode: errno, reason: "fcntl of the listener on \(address)") }
        return duplicate
    }
}
