// A file that grows at its end, by whole lines, and can be opened anew under the same descriptor.

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

/// An open log file. Its descriptor's number never changes: who has kept it writes to the new file after `reopen`.
package struct AppendFile: ~Copyable, Sendable {
    package let path: String
    package let descriptor: Descriptor
    private let mode: UInt32

    /// - Parameters:
    ///   - path: made when it is not there. A FIFO must have a reader (ENXIO).
    ///   - mode: of a new file, less the umask.
    package init(path: String, mode: UInt32 = 0o640) throws(SystemError) {
        ignoreFileSizeLimitSignal()
        self.path = path
        self.mode = mode
        descriptor = Descriptor(owning: try Self.open(path, mode))
    }

    /// Opens the path again: after logrotate(8) has moved the file away, a new one.
    ///
    /// - Throws: what keeps the path from being opened; the old file stays open then.
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
            guard let count = try writeBytes(to: descriptor.number, bytes) else { return .nothing(.wouldBlock) }
            return count == bytes.count ? .whole : .part
        } catch {
            return .nothing(error.errno)
        }
    }

    private static func open(_ path: String, _ mode: UInt32) throws(SystemError) -> Int32 {
        let flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK
        return try systemCall("open", on: path) { cprefork_open(path, flags, mode_t(mode)) }
    }
}
