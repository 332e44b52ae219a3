// Writing to standard error, which this process shares with its parent and its children, without waiting for any of
// them.

import CPrefork
import Glibc

/// Writes as much of `text` to standard error as it takes without waiting for its reader.
///
/// O_NONBLOCK does not work: the flag belongs to the open file, and each process that has the file can clear the flag.
/// poll(2) before the write does not work either: another writer may fill the pipe between the two calls. What prevents
/// a single call from waiting depends on the kind of file:
///
/// - a pipe: pwritev2(2) with RWF_NOWAIT (Linux 6.4),
/// - a socket: MSG_DONTWAIT,
/// - a terminal, or a pipe of an older kernel: opened again through /proc for this write, so that O_NONBLOCK applies to
///   an open file that no other process has. If that is refused, poll(2) and write(2), which may wait after all,
/// - a file: write(2), which waits for the disk only.
///
/// Two processes that write to one pipe or file take turns in the kernel. One that writes from memory which is slow to
/// come (FUSE) makes the others wait for it, with any flag: see the manual on `PREFORK_LOG_FILE`.
///
/// - Returns: false when standard error is full, closed or broken and nothing was written.
package func writeToStandardErrorWithoutBlocking(_ text: String) -> Bool {
    var text = text
    return text.withUTF8 { utf8 in
        (try? writeWithoutBlocking(to: STDERR_FILENO, UnsafeRawBufferPointer(utf8))) != nil
    }
}

/// Writes as much of `bytes` to a descriptor that others may share as it takes without waiting: see
/// `writeToStandardErrorWithoutBlocking`.
///
/// - Returns: how many bytes were taken, or nil if no byte can be taken now.
/// - Throws: why no byte was taken, if the reason is not lack of room.
package func writeWithoutBlocking(to number: Int32, _ bytes: UnsafeRawBufferPointer) throws(SystemError) -> Int? {
    try SharedWriting.write(bytes, to: number)
}

private enum SharedWriting {
    /// What a pipe takes in one piece or not at all (PIPE_BUF).
    private static let piece = 4096

    static func write(_ bytes: UnsafeRawBufferPointer, to number: Int32) throws(SystemError) -> Int? {
        var rest = bytes
        func written() -> Int? { rest.count < bytes.count ? bytes.count - rest.count : nil }
        var way = way(to: number)
        defer { if case .reopened(let own) = way { closeDescriptor(own) } }
        while rest.count > 0 {
            let slice = UnsafeRawBufferPointer(rebasing: rest.prefix(piece))
            do throws(SystemError) {
                guard let count = try write(slice, by: way, to: number), count > 0 else { return written() }
                rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
            } catch {
                // The kernel cannot write there in this way.
                // EPERM: a seccomp filter that does not know pwritev2.
                let isUnable = [.notSupported, .noSystemCall, .notPermitted].contains(error.errno)
                if case .atOnce = way, isUnable {
                    way = reopened(number)
                } else if rest.count < bytes.count {
                    return written()
                } else {
                    throw error
                }
            }
        }
        return bytes.count
    }

    private enum Way {
        case atOnce
        case datagram
        case plain
        case reopened(Int32)
        case polled
    }

    private static func way(to number: Int32) -> Way {
        var status = stat()
        guard fstat(number, &status) == 0 else { return .plain }
        switch status.st_mode & S_IFMT {
        case S_IFIFO, S_IFCHR: return .atOnce
        case S_IFSOCK: return .datagram
        default: return .plain
        }
    }

    private static func reopened(_ number: Int32) -> Way {
        let own = cprefork_open("/proc/self/fd/\(number)", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0)
        return own >= 0 ? .reopened(own) : .polled
    }

    private static func write(
        _ slice: UnsafeRawBufferPointer, by way: Way, to number: Int32
    ) throws(SystemError) -> Int? {
        switch way {
        case .atOnce: try writeBytesAtOnce(to: number, slice)
        case .datagram: try sendBytes(to: number, slice)
        case .plain: try writeBytes(to: number, slice)
        case .reopened(let own): try writeBytes(to: own, slice)
        case .polled: canTake(number) ? try writeBytes(to: number, slice) : nil
        }
    }

    private static func canTake(_ number: Int32) -> Bool {
        var status = pollfd(fd: number, events: Int16(POLLOUT), revents: 0)
        return poll(&status, 1, 0) == 1 && status.revents & Int16(POLLOUT) != 0
    }
}
