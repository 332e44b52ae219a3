// A file that is open for reading, and what was true of it then.

import CPrefork
import Glibc
import Synchronization

/// An open file with its kind, size and times. Closed with its last reference.
package final class OpenedFile: Sendable {
    package enum Kind: Sendable {
        case regular, directory, other
    }

    private let descriptor: Descriptor
    /// The kernel has refused sendfile(2) for this file.
    private let isCopied = Atomic(false)
    package let kind: Kind
    /// In bytes.
    package let size: Int
    package let inode: UInt64
    /// When it was written last, in nanoseconds since 1970.
    package let modified: Int64

    init(_ descriptor: consuming Descriptor) throws(SystemError) {
        var status = stat()
        try systemCall("fstat", on: "descriptor \(descriptor.number)") { fstat(descriptor.number, &status) }
        kind =
            switch status.st_mode & S_IFMT {
            case S_IFREG: .regular
            case S_IFDIR: .directory
            default: .other
            }
        size = Int(status.st_size)
        inode = UInt64(status.st_ino)
        modified = cprefork_modified_nanoseconds(&status)
        self.descriptor = descriptor
    }

    /// One sendfile(2): sends some of the file's bytes to a socket without copying them. It waits for a disk, never for
    /// the socket, which must be non-blocking.
    ///
    /// Where the file system or the kernel has no sendfile(2) for this file, it reads and sends the bytes, 64 KiB at most.
    /// The manual page suggests that after EINVAL and ENOSYS.
    ///
    /// A peer that is gone is EPIPE: the process must ignore SIGPIPE (see `ignoreBrokenPipes`), because sendfile(2) has
    /// no MSG_NOSIGNAL.
    ///
    /// - Parameter range: in bytes. A file that has become shorter ends within it.
    /// - Returns: how many bytes were taken: 0 at the end of the file. Nil if no byte can be taken now.
    package func send(_ range: Range<Int>, to socket: Int32) throws(SystemError) -> Int? {
        if isCopied.load(ordering: .relaxed) { return try sendCopy(range, to: socket) }
        while true {
            var offset = off_t(range.lowerBound)
            let count = sendfile(socket, descriptor.number, &offset, range.count)
            if count >= 0 { return count }
            let errno = Errno.current
            if errno == .wouldBlock { return nil }
            if Self.refusals.contains(errno) {
                isCopied.store(true, ordering: .relaxed)
                return try sendCopy(range, to: socket)
            }
            if errno != .interrupted { throw SystemError("sendfile", errno, on: "socket \(socket)") }
        }
    }

    /// EINVAL of a file system whose files cannot be mapped, EOPNOTSUPP of one that says so, ENOSYS and EPERM of a kernel or
    /// a container's filter. If the socket is the reason, send(2) says it.
    private static let refusals: [Errno] = [.invalidArgument, .notSupported, .noSystemCall, .notPermitted]
    private static let copyLimit = 64 * 1024

    /// What the socket does not take is read once more by the next call: the file may have changed meanwhile, as it may
    /// between two calls of sendfile(2).
    package func sendCopy(_ range: Range<Int>, to socket: Int32) throws(SystemError) -> Int? {
        let bytes = try read(range.clamped(to: range.lowerBound..<(range.lowerBound + Self.copyLimit)))
        if bytes.isEmpty { return 0 }
        return try bytes.withUnsafeBufferPointer { bytes throws(SystemError) in
            try sendBytes(to: socket, UnsafeRawBufferPointer(bytes))
        }
    }

    /// Reads some of the file's bytes, by pread(2).
    ///
    /// - Returns: fewer than the range has if the file has become shorter.
    package func read(_ range: Range<Int>) throws(SystemError) -> [UInt8] {
        var failure: SystemError?
        let bytes = [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
            count = 0
            while count < range.count {
                let now = pread(
                    descriptor.number, buffer.baseAddress! + count, range.count - count,
                    off_t(range.lowerBound + count))
                if now > 0 {
                    count += now
                } else if now == 0 {
                    return
                } else if case let errno = Errno.current, errno != .interrupted {
                    failure = SystemError("pread", errno, on: "descriptor \(descriptor.number)")
                    return
                }
            }
        }
        if let failure { throw failure }
        return bytes
    }
}
