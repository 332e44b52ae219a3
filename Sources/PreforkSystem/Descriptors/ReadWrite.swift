// read(2), write(2) and their socket forms, with "not now" and "the end" distinguished from failures.

import CPrefork
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

/// One recv(2) on a socket into `buffer`, which must not be empty: as `readBytes`, without the way through the file
/// system's layer, which costs the kernel some 50 ns.
package func receiveBytes(from number: Int32, into buffer: UnsafeMutableRawBufferPointer) throws(SystemError)
    -> ReadOutcome
{
    while true {
        let count = Glibc.recv(number, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
        if count > 0 { return .bytes(count) }
        if count == 0 { return .end }
        let errno = Errno.current
        if errno == .wouldBlock { return .wouldBlock }
        if errno != .interrupted { throw SystemError("recv", errno, on: "socket \(number)") }
    }
}

/// One write(2) on a pipe or file.
///
/// The process ignores SIGPIPE (see `ignoreBrokenPipes`), so a vanished reader is EPIPE, thrown.
///
/// - Returns: how many bytes were taken, or nil if no byte can be taken now.
package func writeBytes(to number: Int32, _ bytes: UnsafeRawBufferPointer) throws(SystemError) -> Int? {
    while true {
        let count = Glibc.write(number, bytes.baseAddress, bytes.count)
        if count >= 0 { return count }
        let errno = Errno.current
        if errno == .wouldBlock { return nil }
        if errno != .interrupted { throw SystemError("write", errno, on: "descriptor \(number)") }
    }
}

/// One pwritev2(2) with RWF_NOWAIT on a pipe: it does not wait for room, whatever flags the open file has.
///
/// - Returns: how many bytes were taken, or nil if no byte can be taken now.
/// - Throws: EOPNOTSUPP where the file or the kernel has no such write.
package func writeBytesAtOnce(to number: Int32, _ bytes: UnsafeRawBufferPointer) throws(SystemError) -> Int? {
    while true {
        // For no bytes any address does.
        let count = cprefork_write_now(number, bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1)!, bytes.count)
        if count >= 0 { return count }
        let errno = Errno.current
        if errno == .wouldBlock { return nil }
        if errno != .interrupted { throw SystemError("pwritev2", errno, on: "descriptor \(number)") }
    }
}

/// One send(2) on a socket. MSG_NOSIGNAL prevents SIGPIPE, whatever the process does with that signal. MSG_DONTWAIT is
/// needed because a socket shared with another process may be in blocking mode.
///
/// - Returns: how many bytes were taken, or nil if no byte can be taken now.
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

/// One sendmsg(2) of two runs of bytes on a socket, as `sendBytes`.
///
/// - Parameter hasMore: more follows at once, and the kernel may wait for it before it sends a packet (MSG_MORE).
/// - Returns: how many bytes were taken of both together, or nil if no byte can be taken now.
package func sendBytes(
    to number: Int32, _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer, hasMore: Bool
) throws(SystemError) -> Int? {
    var flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
    if hasMore { flags |= Int32(MSG_MORE) }
    var parts = (
        iovec(iov_base: UnsafeMutableRawPointer(mutating: first.baseAddress), iov_len: first.count),
        iovec(iov_base: UnsafeMutableRawPointer(mutating: second.baseAddress), iov_len: second.count)
    )
    while true {
        // Proof: a tuple of two equal types lies in memory as an array of two. The kernel reads it within the call.
        let count = withUnsafeMutableBytes(of: &parts) { parts in
            var message = msghdr()
            message.msg_iov = parts.baseAddress?.assumingMemoryBound(to: iovec.self)
            message.msg_iovlen = 2
            return sendmsg(number, &message, flags)
        }
        if count >= 0 { return count }
        let errno = Errno.current
        if errno == .wouldBlock { return nil }
        if errno != .interrupted { throw SystemError("sendmsg", errno, on: "socket \(number)") }
    }
}

/// Makes a broken pipe an error value (EPIPE) in the whole process.
///
/// Sockets have MSG_NOSIGNAL, but pipes have no such flag (pipe(7)), so every server and language runtime with pipes
/// ends up ignoring the signal. A program that installed a handler keeps it.
package func ignoreBrokenPipes() {
    var current = sigaction()
    guard sigaction(SIGPIPE, nil, &current) == 0 else { return }
    if current.__sigaction_handler.sa_handler == nil { _ = signal(SIGPIPE, SIG_IGN) }
}
