// The supervisor's log in a file.

package import PreforkSystem

/// Writes log lines to a file, each with one write(2), and never waits.
///
/// When the disk is full, lines are lost and counted. The next line that gets through says how many and why. A line of
/// which only the beginning got through counts as lost, and the next one begins on a new line.
package final class LogFile {
    private let file: AppendFile
    private let format: LogFormat
    /// The path was one of /dev/stdout, /dev/stderr and /dev/fd/N, which no reopening changes.
    private let isJournal: Bool
    /// Lines that were lost since the last one that was written.
    package private(set) var lost = 0
    private var reason: Errno?
    private var isTorn = false

    /// - Parameters:
    ///   - path: absolute, if it must be reopened after a change of directory. The file is appended to, and created if
    ///     it does not exist.
    ///   - mode: of a new file, less the umask.
    ///   - format: of all lines.
    package init(path: String, mode: UInt32 = 0o640, format: LogFormat = .text) throws(SystemError) {
        self.format = format
        file = try AppendFile(path: path, mode: mode)
        isJournal = JournalStream.isStream(file.descriptor.number)
    }

    package var path: String { file.path }

    /// No child keeps it. The number stays the same over `reopen`.
    package var descriptor: Int32 { file.descriptor.number }

    package func write(_ line: LogLine) {
        let (timestamp, pid) = (WallClock.timestamp, CurrentProcess.pid)
        var text = isTorn ? "\n" : ""
        if lost > 0 {
            let why = reason.map { ": \($0)" } ?? ""
            text += LogLine(.warning, "\(lost) log lines were lost\(why)")
                .written(format, at: timestamp, pid: pid, toJournal: isJournal)
        }
        text += line.written(format, at: timestamp, pid: pid, toJournal: isJournal)
        switch text.withUTF8({ file.append(UnsafeRawBufferPointer($0)) }) {
        case .whole:
            lost = 0
            reason = nil
            isTorn = false
        case .part:
            lost += 1
            isTorn = true
        case .nothing(let errno):
            lost += 1
            reason = errno
        }
    }

    /// Opens the path again, for SIGUSR1 after logrotate(8).
    ///
    /// - Throws: why it cannot be opened. The log then continues in the old file.
    package func reopen() throws(SystemError) {
        try file.reopen()
        // Whatever was torn was torn in the other file.
        isTorn = false
    }
}
