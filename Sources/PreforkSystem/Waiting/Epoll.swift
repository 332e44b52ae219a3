// epoll(7): which descriptors can be read or written now.

import CPrefork
import Glibc

/// What a descriptor waits for, or what happened to it (epoll_ctl(2)).
package struct EpollEvents: OptionSet, Sendable {
    package let rawValue: UInt32

    package init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    package static let readable = EpollEvents(rawValue: EPOLLIN.rawValue)
    package static let writable = EpollEvents(rawValue: EPOLLOUT.rawValue)
    package static let peerFinished = EpollEvents(rawValue: EPOLLRDHUP.rawValue)
    package static let hangUp = EpollEvents(rawValue: EPOLLHUP.rawValue)
    package static let error = EpollEvents(rawValue: EPOLLERR.rawValue)
    /// One report per change instead of one per wait.
    package static let edge = EpollEvents(rawValue: cprefork_epollet)
}

// Plain values and questions, because the set algebra of an OptionSet is generic, and generic code of another module is
// not specialised on the loop's hot path.
extension EpollEvents {
    package static let readableOnce = EpollEvents(rawValue: EPOLLIN.rawValue | cprefork_epollet)
    /// A listener that several processes watch, one of which is woken.
    package static let listener = EpollEvents(
        rawValue: EPOLLIN.rawValue | EPOLLOUT.rawValue | cprefork_epollexclusive)
    /// Each change of what a stream has to read.
    package static let streamReading = EpollEvents(rawValue: EPOLLIN.rawValue | EPOLLRDHUP.rawValue | cprefork_epollet)
    /// Each change of what a stream has to read, and of its room to write.
    package static let stream = EpollEvents(rawValue: streamReading.rawValue | EPOLLOUT.rawValue)
    package var isReadable: Bool { rawValue & (EPOLLIN.rawValue | EPOLLRDHUP.rawValue) != 0 }
    package var isWritable: Bool { rawValue & EPOLLOUT.rawValue != 0 }
    package var isPeerFinished: Bool { rawValue & EPOLLRDHUP.rawValue != 0 }
    /// Both directions are over: EPOLLHUP or EPOLLERR.
    package var isOver: Bool { rawValue & (EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 }
}

/// An epoll instance. Each descriptor carries a word of the user's that comes back with its events.
package struct Epoll: ~Copyable, Sendable {
    package let descriptor: Descriptor

    package init() throws(SystemError) {
        descriptor = Descriptor(owning: try systemCall("epoll_create1") { epoll_create1(Int32(EPOLL_CLOEXEC)) })
    }

    /// An instance that another image of this program has made.
    package init(owning descriptor: consuming Descriptor) {
        self.descriptor = descriptor
    }

    package func add(_ fd: Int32, _ events: EpollEvents, word: UInt64) throws(SystemError) {
        try systemCall("epoll_ctl", on: "add descriptor \(fd)") {
            cprefork_epoll_ctl(descriptor.number, EPOLL_CTL_ADD, fd, events.rawValue, word)
        }
    }

    package func modify(_ fd: Int32, _ events: EpollEvents, word: UInt64) throws(SystemError) {
        try systemCall("epoll_ctl", on: "modify descriptor \(fd)") {
            cprefork_epoll_ctl(descriptor.number, EPOLL_CTL_MOD, fd, events.rawValue, word)
        }
    }

    /// Takes a descriptor out. A descriptor that is not in it, or closed already, is not an error: the result is the
    /// same.
    package func remove(_ fd: Int32) {
        _ = cprefork_epoll_ctl(descriptor.number, EPOLL_CTL_DEL, fd, 0, 0)
    }
}

/// Room for the events of one wait, allocated once.
package struct EpollEventBuffer: ~Copyable, @unchecked Sendable {
    // Sendable: the buffer is owned by exactly one value and has no reference to it elsewhere.
    /// Of a constant capacity above zero, so its address is never nil.
    private let events: UnsafeMutableBufferPointer<epoll_event>
    package private(set) var count = 0

    package init(capacity: Int) {
        events = .allocate(capacity: capacity)
    }

    deinit {
        events.deallocate()
    }

    /// Waits until a descriptor of `epoll` has events or the time is over.
    ///
    /// - Parameter timeout: nanoseconds. A negative timeout waits forever, 0 only polls.
    package mutating func wait(_ epoll: borrowing Epoll, timeout: Int64) throws(SystemError) {
        count = 0
        let answer = cprefork_epoll_wait(epoll.descriptor.number, events.baseAddress!, Int32(events.count), timeout)
        if answer >= 0 {
            count = Int(answer)
        } else {
            // A signal is a wake-up like any other: the caller checks what it waited for and comes back.
            let errno = Errno.current
            if errno != .interrupted { throw SystemError("epoll_wait", errno) }
        }
    }

    /// Empties the buffer: each event is gone through once.
    package mutating func forget() {
        count = 0
    }

    /// The word and the events of entry `index` of the last wait. `index` must be below `count`.
    package subscript(index: Int) -> (word: UInt64, events: EpollEvents) {
        // The kernel returns a `count` of at most the capacity offered, and callers use 0 ..< count.
        precondition(index >= 0 && index < count, "event \(index) of \(count)")
        // In bounds by the check above. The last wait wrote the entry.
        return (cprefork_epoll_word(events.baseAddress! + index), EpollEvents(rawValue: events[index].events))
    }
}
