// poll(2): for threads that wait without a loop.

import Glibc

package enum Polling {
    /// Blocks the thread until one of `numbers` is readable or at its end.
    ///
    /// - Parameters:
    ///   - numbers: negative ones are passed over.
    ///   - deadline: if nil, waits forever.
    /// - Returns: false when the deadline came first.
    package static func waitUntilReadable(
        _ numbers: [Int32], until deadline: MonotonicInstant?
    ) throws(SystemError) -> Bool {
        try wait(numbers.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }, until: deadline)
    }

    /// Blocks the thread until something happens to one of the descriptors.
    ///
    /// - Parameters:
    ///   - readable: have something to read, or are at their end.
    ///   - closed: sockets whose other end is closed. What can be read there does not count.
    /// - Returns: those to which it has happened.
    package static func wait(readable: [Int32], closed: [Int32]) throws(SystemError) -> Set<Int32> {
        var entries =
            readable.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            + closed.map { pollfd(fd: $0, events: 0, revents: 0) }
        _ = try systemCall("poll") { poll(&entries, nfds_t(entries.count), -1) }
        return Set(entries.filter { $0.revents != 0 }.map(\.fd))
    }

    /// Blocks the thread until something can be written there, or nothing ever again.
    package static func waitUntilWritable(_ number: Int32) throws(SystemError) {
        _ = try wait([pollfd(fd: number, events: Int16(POLLOUT), revents: 0)], until: nil)
    }

    private static func wait(_ wanted: [pollfd], until deadline: MonotonicInstant?) throws(SystemError) -> Bool {
        var entries = wanted
        while true {
            var timeout: Int32 = -1
            if let deadline {
                // Rounded up, or the last part of a millisecond would be spent in a loop.
                let left = (deadline - .now).saturatedNanoseconds
                timeout = left <= 0 ? 0 : Int32(clamping: (left - 1) / 1_000_000 + 1)
            }
            let count = poll(&entries, nfds_t(entries.count), timeout)
            if count > 0 { return true }
            if count == 0 {
                if let deadline, deadline <= .now { return false }
                continue
            }
            let errno = Errno.current
            if errno != .interrupted { throw SystemError("poll", errno) }
        }
    }
}
