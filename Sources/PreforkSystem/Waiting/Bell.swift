// A wake-up between processes that do not trust each other.

import CPrefork

/// A wake-up that any thread of any process with the descriptor can send, and that no process can turn against another.
///
/// Neither `ring` nor `clear` waits, whatever another process does with the same open file: it can clear O_NONBLOCK,
/// read, write, and set or stop the timer, and no call here depends on any of that. Such a process can ring without
/// need, and it can take rings away from those that sleep. A sleeper therefore wakes by itself after `longestSleep`.
///
/// Several epolls may watch one bell edge-triggered without ever clearing it: each ring is an edge for each of them.
package struct Bell: ~Copyable, Sendable {
    package let descriptor: Descriptor

    /// A sleeper checks for news after this time without a ring, because a sibling may have taken the ring away, or
    /// died between its change and the ring.
    package static let longestSleep = Duration.milliseconds(500)

    package init() throws(SystemError) {
        descriptor = Descriptor(owning: try systemCall("timerfd_create") { cprefork_bell() })
    }

    /// A bell that another process has made. The descriptor is closed if it is not a bell.
    ///
    /// - Throws: EINVAL for another kind of descriptor.
    package init(adopting descriptor: consuming Descriptor) throws(SystemError) {
        guard cprefork_is_bell(descriptor.number) == 1 else {
            throw SystemError("timerfd_gettime", .invalidArgument, on: "descriptor \(descriptor.number)")
        }
        self.descriptor = descriptor
    }

    /// Gives the descriptor up without closing it.
    package consuming func release() -> Int32 { descriptor.release() }

    /// Whether a descriptor is a bell's.
    package static func isBell(_ number: Int32) -> Bool { cprefork_is_bell(number) == 1 }

    /// Wakes all watchers of the bell. It stays readable until `clear`.
    package func ring() {
        Self.ring(descriptor.number)
    }

    /// Rings a bell that another object owns.
    package static func ring(_ number: Int32) {
        _ = cprefork_ring(number)
    }

    /// `ring` as it works on kernels without TFD_IOC_SET_TICKS.
    static func ringByTimer(_ number: Int32) {
        _ = cprefork_ring_by_timer(number)
    }

    /// Makes the bell unreadable.
    package func clear() {
        _ = cprefork_silence(descriptor.number)
    }
}
