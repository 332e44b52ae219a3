// A child's standard error, read by its supervisor without ever waiting for the child.

import CPrefork
import Glibc

/// The reading end of a child's standard error. The child writes to a blocking descriptor of 1 MiB.
///
/// A pipe is right for a child that has the reader's user. It is wrong for one that has fewer privileges: the kernel
/// copies a writer's bytes while it holds the pipe's mutex (pipe_write in fs/pipe.c). A writer whose memory comes from
/// FUSE or userfaultfd(2) keeps the mutex for as long as it likes, and read(2), FIONREAD and even the last close(2)
/// wait for that mutex, uninterruptibly and whatever O_NONBLOCK says.
///
/// Such a child therefore gets a Unix stream socket. The kernel copies a sender's bytes before it takes a lock of the
/// receiver's, and the receiver's own lock is taken by readers only (unix_stream_sendmsg and unix_stream_read_generic
/// in net/unix/af_unix.c). Sockets carry descriptors, and the last close of one can wait for SO_LINGER. Linux 6.16
/// refuses them (SO_PASSRIGHTS). Older kernels show them to a peek (MSG_PEEK): the supervisor then reads no further,
/// and a separate process closes the socket (`LastClose`). The price of the socket: the child cannot open `/dev/stderr`
/// (ENXIO), as in services whose standard error is systemd's journal. A pipe that root has made cannot be opened there
/// by another user, either.
package final class OutputPipe: Sendable {
    package enum Kind: Int, Sendable, CaseIterable {
        case pipe = 1
        case socket = 2
    }

    package enum Reading: Equatable, Sendable {
        /// So many bytes. `isLast`: nothing more waits now.
        case bytes(Int, isLast: Bool)
        /// Nothing now.
        case nothing
        /// Every writer has closed its end.
        case end
        /// A writer has sent descriptors. Nothing more is read.
        case descriptors
    }

    /// What waits in it at most, where the user's limits allow that much.
    package static let capacity = 1 << 20

    package let number: Int32
    package let kind: Kind

    /// Takes over the reading end of an earlier image.
    package init(owning number: Int32, kind: Kind) {
        self.number = number
        self.kind = kind
    }

    /// - Returns: the reading end, and the descriptor for the child.
    package static func make(_ kind: Kind) throws(SystemError) -> (reading: OutputPipe, writing: Int32) {
        switch kind {
        case .pipe:
            let ends = try makeBlockingPipe()
            let pipe = OutputPipe(owning: ends.reading, kind: kind)
            do throws(SystemError) {
                // Of the reading end only: each end has its own open file.
                try setNonBlocking(ends.reading)
            } catch {
                closeDescriptor(ends.writing)
                throw error
            }
            return (pipe, ends.writing)
        case .socket:
            var ends: [Int32] = [-1, -1]
            try systemCall("socketpair") { cprefork_output_pair(&ends, Int32(capacity)) }
            return (OutputPipe(owning: ends[0], kind: kind), ends[1])
        }
    }

    /// Makes room for a burst. A pipe has 64 KiB before. The child need not wait for it.
    package func grow() {
        guard kind == .pipe else { return }
        // /proc/sys/fs/pipe-user-pages-soft: a user with many pipes gets smaller ones.
        for bytes in [Self.capacity, Self.capacity / 4] where setPipeCapacity(number, Int32(bytes)) { break }
    }

    /// Reads the available bytes.
    package func read(into buffer: UnsafeMutableRawBufferPointer) throws(SystemError) -> Reading {
        switch kind {
        case .pipe:
            switch try readBytes(from: number, into: buffer) {
            // read(2) of a pipe continues until the pipe is empty or the buffer is full.
            case .bytes(let count): return .bytes(count, isLast: count < buffer.count)
            case .end: return .end
            case .wouldBlock: return .nothing
            }
        case .socket: return try readSocket(into: buffer)
        }
    }

    /// The peeked bytes, and no more, are read again: whatever a sender adds in between is behind them. Their pages may
    /// change meanwhile (splice(2)), so the peeked bytes are the ones used.
    private func readSocket(into buffer: UnsafeMutableRawBufferPointer) throws(SystemError) -> Reading {
        guard let base = buffer.baseAddress, buffer.count > 0 else { return .nothing }
        var hasFiles: Int32 = 0
        var seen = 0
        repeat {
            seen = cprefork_peek(number, base, buffer.count, &hasFiles)
        } while seen < 0 && Errno.current == .interrupted
        if seen < 0 {
            let errno = Errno.current
            if errno == .wouldBlock { return .nothing }
            throw SystemError("recvmsg", errno, on: "socket \(number)")
        }
        if hasFiles != 0 { return .descriptors }
        if seen == 0 { return .end }
        try consume(seen)
        return .bytes(seen, isLast: false)
    }

    private func consume(_ count: Int) throws(SystemError) {
        try withUnsafeTemporaryAllocation(byteCount: min(count, 4096), alignment: 1) { scratch throws(SystemError) in
            var rest = count
            while rest > 0 {
                let part = UnsafeMutableRawBufferPointer(rebasing: scratch.prefix(rest))
                guard case .bytes(let taken) = try receiveNow(into: part) else { return }
                rest -= taken
            }
        }
    }

    private func receiveNow(into buffer: UnsafeMutableRawBufferPointer) throws(SystemError) -> ReadOutcome {
        while true {
            let count = recv(number, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
            if count > 0 { return .bytes(count) }
            if count == 0 { return .end }
            let errno = Errno.current
            if errno == .wouldBlock { return .wouldBlock }
            if errno != .interrupted { throw SystemError("recv", errno, on: "socket \(number)") }
        }
    }

    deinit {
        if kind == .socket, !isEmptyForGood {
            LastClose.close([number])
        } else {
            closeDescriptor(number)
        }
    }

    /// From the shutdown on the kernel takes nothing more from senders, and reading discards what it has taken.
    private var isEmptyForGood: Bool {
        shutdown(number, Int32(SHUT_RDWR))
        return withUnsafeTemporaryAllocation(byteCount: 16 << 10, alignment: 1) { buffer in
            for _ in 0..<2 * Self.capacity / buffer.count {
                switch try? read(into: buffer) {
                case .bytes: continue
                case .end: return true
                default: return false
                }
            }
            return false
        }
    }
}

/// In a new child, before it prints anything: makes the writing end of its `OutputPipe` its standard error, and its
/// standard output if `includingStandardOutput`. The descriptor itself is closed.
package func redirectOutput(to writing: Int32, includingStandardOutput: Bool) throws(SystemError) {
    if includingStandardOutput { try systemCall("dup2", on: "standard output") { dup2(writing, STDOUT_FILENO) } }
    try systemCall("dup2", on: "standard error") { dup2(writing, STDERR_FILENO) }
    if writing > STDERR_FILENO { closeDescriptor(writing) }
}
