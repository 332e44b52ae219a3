// eventfd(2): a number that another thread or process raises to wake a waiting one.

import CPrefork
import Glibc

/// A wake-up that can be sent from any thread and any process that shares the descriptor.
package struct EventCounter: ~Copyable, Sendable {
    package let descriptor: Descriptor

    package init() throws(SystemError) {
        let flags = Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK)
        descriptor = Descriptor(owning: try systemCall("eventfd") { eventfd(0, flags) })
    }

    /// A counter that another process has made.
    package init(owning descriptor: consuming Descriptor) {
        self.descriptor = descriptor
    }

    /// Gives the descriptor up without closing it.
    package consuming func release() -> Int32 { descriptor.release() }

    /// Raises the counter by one. A counter at its maximum is readable already, which is all a wake-up needs.
    package func signal() {
        Self.signal(descriptor.number)
    }

    /// Raises a counter that another process owns, by its inherited number.
    package static func signal(_ number: Int32) {
        var one: UInt64 = 1
        while Glibc.write(number, &one, 8) < 0, Errno.current == .interrupted {}
    }

    /// Back to zero.
    package func clear() {
        var count: UInt64 = 0
        while Glibc.read(descriptor.number, &count, 8) < 0, Errno.current == .interrupted {}
    }
}
