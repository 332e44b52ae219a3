// A file that grows at its end, by whole lines, and can be reopened under the same descriptor.

import CPrefork
import Glibc

/// Makes a file that has reached its largest size (RLIMIT_FSIZE) an error value, EFBIG, in the whole process: without
/// this the signal for it would be the end of a process because of its log (write(2)). A handler of the program's own
/// stays.
private func ignoreFileSizeLimitSignal() {
    var current = sigaction()
    guard sigaction(SIGXFSZ, nil, &current) == 0 else { return }
    if current.__sigaction_handler.sa_handler == nil { _ = signal(SIGXFSZ, SIG_IGN) }
}

/// An open log file. Its descriptor's number never changes, so code that has kept the number writes to the new file
/// after `reopen`.
///
/// The directory may belong to another user, who could make a privileged process write to a file that this user cannot
/// write to. A symbolic link at the path is therefore not followed, and a file with other names is refused. Root writes
/// only to what belongs to root.
package struct AppendFile: ~Copyable, Sendable {
    package let path: String
    package let descriptor: Descriptor
    private let mode: UInt32
    /// Others may have the same open file: O_NONBLOCK is not ours to set there.
    private let isShared: Bool

    /// - Parameters:
    ///   - path: made when it is not there. A FIFO must have a reader (ENXIO). `/dev/stdout`, `/dev/stderr` and
    ///     `/dev/fd/N` are what this process has open there, opened again as a separate open file if /proc allows it.
    ///   - mode: of a new file, less the umask.
    /// - Throws: `SystemError` with what is wrong: ELOOP for a symbolic link, EPERM for a file that belongs to another
    ///   user or has several names, EINVAL for anything other than a file, a FIFO or a character device.
    package init(path: String, mode: UInt32 = 0o640) throws(SystemError) {
        ignoreFileSizeLimitSignal()
        self.path = path
        self.mode = mode
        isShared = Self.openDescriptor(at: path) != nil
        descriptor = Descriptor(owning: try Self.open(path, mode))
    }

    /// Opens the path again: after logrotate(8) has moved the file away, a new one.
    ///
    /// - Throws: what prevents the path from being opened. The old file then stays open.
    package func reopen() throws(SystemError) {
        let new = Descriptor(owning: try Self.open(path, mode))
        let (source, target) = (new.number, descriptor.number)
        // dup3(2) closes the old file and takes its number in one step: at no time is the number free for others.
        try systemCall("dup3", on: path) { cprefork_replace(source, target) }
    }

    /// What became of a write.
    package enum Outcome: Equatable, Sendable {
        case whole
        /// The beginning was written, then something ran out.
        case part
        case nothing(Errno)
    }

    /// One write(2), which does not wait: a regular file never does for long, others are non-blocking.
    package func append(_ bytes: UnsafeRawBufferPointer) -> Outcome {
        do throws(SystemError) {
            let number = descriptor.number
            let count =
                isShared ? try writeWithoutBlocking(to: number, bytes) : try writeBytes(to: number, bytes)
            guard let count else { return .nothing(.wouldBlock) }
            return count == bytes.count ? .whole : .part
        } catch {
            return .nothing(error.errno)
        }
    }

    private static func open(_ path: String, _ mode: UInt32) throws(SystemError) -> Int32 {
        if let number = openDescriptor(at: path) {
            return switch try openShared(number) {
            case .socket(let copy), .stream(let copy), .regular(let copy): copy
            }
        }
        let place = try FilePlace(path)
        for _ in 0..<64 {
            let number: Int32
            do throws(SystemError) {
                number = try place.open(O_WRONLY | O_APPEND)
            } catch where error.errno == .noEntry {
                // O_EXCL: a file that appears meanwhile is checked like one that was there before. With O_CREAT alone,
                // another user's file in a directory like /tmp would be EACCES (fs.protected_regular).
                do throws(SystemError) {
                    number = try place.open(O_WRONLY | O_APPEND | O_CREAT | O_EXCL, mode: mode)
                } catch where error.errno.rawValue == EEXIST {
                    continue
                }
            }
            let file = Descriptor(owning: number)
            guard let status = FileStatus(of: number) else { throw SystemError("fstat", .current, on: path) }
            // Removed since it was opened.
            if status.links == 0 { continue }
            try check(status, path)
            return file.release()
        }
        throw SystemError("open", .busy, on: "\(path) is created and removed again and again")
    }

    private static func check(_ status: FileStatus, _ path: String) throws(SystemError) {
        guard [.regular, .pipe, .characterDevice].contains(status.kind) else {
            throw SystemError("open", .invalidArgument, on: "\(path): no file, FIFO or character device")
        }
        // A device is made by root. Terminals belong to the user who is logged in.
        if status.kind == .characterDevice { return }
        if status.links > 1 {
            throw SystemError("open", .notPermitted, on: "\(path): the file has \(status.links) names (hard links)")
        }
        if geteuid() == 0, status.owner != 0 {
            throw SystemError(
                "open", .notPermitted, on: "\(path): the file belongs to user \(status.owner), not to root")
        }
    }

    /// These are symbolic links in every system, and mean what is open already.
    private static func openDescriptor(at path: String) -> Int32? {
        switch path {
        case "/dev/stdout": return STDOUT_FILENO
        case "/dev/stderr": return STDERR_FILENO
        default: break
        }
        for directory in ["/dev/fd/", "/proc/self/fd/"] where path.hasPrefix(directory) {
            return Int32(path.dropFirst(directory.count)).flatMap { $0 >= 0 ? $0 : nil }
        }
        return nil
    }
}
