// read(2), write(2) and their socket forms, with "not now" and "the end" told apart from failures.

import Glibc

/// What one non-blocking read brought.
package enum ReadOutcome: Equatable, Sendable {
    /// This many bytes, at least one.
    case bytes(Int)
    /// The other side has closed its end: no byte will ever follow.
    case end
    /// Nothing now.
    case wouldBlock
}

/// One read(2) into `buffer`, which must not be empty (an empty one would look like the end).
package func readBytes(from number: Int32, into buffer: UnsafeMutableRawBufferPointer) throws(SystemError)
    -> ReadOutcome
{
    while true {
        let count = Glibc.read(number, buffer.baseAddress, buffer.count)
        if count > 0 { return .bytes(count) }
        if count == 0 { return .end }
        let errno = Errno.current
        if errno == .wouldBlock { return .wouldBlock }
        if errno != .interrupted { throw SystemError("read", errno, on: "descriptor \(number)") }
    }
}

/// One write(2) on a pipe or file.
///
/// The process ignores SIGPIPE (see `ignoreBrokenPipes`), so a vanished reader is EPIPE, thrown.
///
/// - Returns: how many bytes were taken; nil when none can be taken now.
package func writeBytes(to number: Int32, _ bytes: UnsafeRawBufferPointer) throws(SystemError) -> Int? {
    while true {
        let count = Glibc.write(number, bytes.baseAddress, bytes.count)
        if count >= 0 { return count }
        let errno = Errno.current
        if errno == .wouldBlock { return nil }
        if errno != .interrupted { throw SystemError("write", errno, on: "descriptor \(number)") }
    }
}

/// One send(2) on a socket, with MSG_NOSIGNAL: no SIGPIPE whatever the process does with that signal; and MSG_DONTWAIT,
/// because a socket that is shared with another process need not be non-blocking.
///
/// - Returns: how many bytes were taken; nil when none can be taken now.
package func sendBytes(to number: Int32, _ bytes: UnsafeRawBufferPointer) throws(SystemError) -> Int? {
    while true {
        let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
        let count = Glibc.send(number, bytes.baseAddress, bytes.count, flags)
        if count >= 0 { return count }
        let errno = Errno.current
        if errno == .wouldBlock { return nil }
        if errno != .interrupted { throw SystemError("send", errno, on: "socket \(number)") }
    }
}

/// Makes a broken pipe an error value (EPIPE) in the whole process.
///
/// sockets have MSG_NOSIGNAL, pipes have no such flag (pipe(7)); every server and language runtime with pipes
/// ends up ignoring the signal. A program that set a handler of its own keeps it.
package func ignoreBrokenPipes() {
    var current = sigaction()
    guard sigaction(SIGPIPE, nil, &current) == 0 else { return }
    if current.__sigaction_handler.sa_handler == nil { _ = signal(SIGPIPE, SIG_IGN) }
}

/// One write of as much of `bytes` as `number` takes without waiting, whatever the flags of its open file: others may
/// have it, and O_NONBLOCK would be seen by all of them.
///
/// A socket has MSG_DONTWAIT. What is no socket is asked by poll(2) first, and a pipe that polls writable takes PIPE_BUF
/// bytes (pipe(7)). Where another process writes to the same pipe in between, only an open file of one's own with
/// O_NONBLOCK keeps from waiting (`openShared`).
///
/// - Returns: how many bytes were taken; nil when none can be taken now.
package func writeWithoutBlocking(to number: Int32, _ bytes: UnsafeRawBufferPointer) throws(SystemError) -> Int? {
    do throws(SystemError) {
        return try sendBytes(to: number, bytes)
    } catch where error.errno != .notSocket {
        throw error
    } catch {}
    var written = 0
    while written < bytes.count {
        var status = pollfd(fd: number, events: Int16(POLLOUT), revents: 0)
        guard poll(&status, 1, 0) == 1, status.revents & Int16(POLLOUT) != 0 else { break }
        let slice = UnsafeRawBufferPointer(rebasing: bytes[written...].prefix(4096))
        do throws(SystemError) {
            guard let count = try writeBytes(to: number, slice), count > 0 else { break }
            written += count
            if count < slice.count { break }
        } catch where written == 0 {
            throw error
        } catch {
            break
        }
    }
    return written == 0 && !bytes.isEmpty ? nil : written
}

/// Writes as much of `text` to standard error as it takes without blocking: the supervisor must never wait for the
/// reader of its log.
///
/// - Returns: false when standard error is full, closed or broken and nothing was written.
package func writeToStandardErrorWithoutBlocking(_ text: String) -> Bool {
    var text = text
    return text.withUTF8 { utf8 in
        (try? writeWithoutBlocking(to: STDERR_FILENO, UnsafeRawBufferPointer(utf8))) != nil
    }
}
