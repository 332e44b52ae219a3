// The kind of descriptor under a stream, as far as that changes its use.

import PreforkSystem

package enum StreamKind: Sendable {
    case pipe, socket
    /// The primary side of a pseudo-terminal. It reads EIO when the last program on it has gone (pty(7)).
    case terminal
    /// Another device, which may hand out less than it has.
    case other

    /// What an adopted descriptor is.
    init(of fd: Int32) {
        self = isPipe(fd) ? .pipe : .other
    }

    /// Whether a short read means that the kernel has no more.
    var tellsByShortReads: Bool { self == .pipe || self == .socket }
}
