// The supervisor's log on standard error.

import PreforkSystem

/// Writes lines to standard error, and never waits for its reader.
///
/// Children's output comes in bursts, and a pipe holds 64 KiB. What a full pipe does not take is kept, up to 1 MiB, and
/// tried again every 10 ms. Beyond that, lines are dropped and counted. The next line that gets through says how many.
final class StandardErrorLog {
    static let capacity = 1 << 20
    private static let pause = Duration.milliseconds(10)
    /// For a reader that is a little late at the end of this process.
    private static let lastPatience = Duration.milliseconds(200)

    private let format: LogFormat
    private let descriptor: Int32
    private let isJournal: Bool
    private var backlog: [UInt8] = []
    private var lost = 0
    /// When the backlog is tried again. If nil, there is no backlog.
    private(set) var nextTry: MonotonicInstant?

    /// - Parameter descriptor: another one in tests.
    init(_ format: LogFormat = .text, descriptor: Int32 = 2) {
        self.format = format
        self.descriptor = descriptor
        isJournal = JournalStream.isStream(descriptor)
    }

    func write(_ line: LogLine) {
        let (timestamp, pid) = (WallClock.timestamp, CurrentProcess.pid)
        var text = line.written(format, at: timestamp, pid: pid, toJournal: isJournal)
        if lost > 0 {
            let note = LogLine(line.level, "\(lost) log lines were lost: standard error was full")
            text = note.written(format, at: timestamp, pid: pid, toJournal: isJournal) + text
        }
        guard backlog.count + text.utf8.count <= Self.capacity else {
            lost += 1
            return
        }
        lost = 0
        let hadBacklog = !backlog.isEmpty
        backlog += text.utf8
        // Another look is planned, and the lines before this one wait for it.
        if !hadBacklog, !send() { lost = 1 }
    }

    /// What code of the program's own has printed, as it is.
    ///
    /// - Returns: how many lines of it were lost: there was no room, or the other side is closed.
    func pass(_ bytes: [UInt8]) -> Int {
        if bytes.isEmpty { return 0 }
        var kept = bytes[...]
        let room = Self.capacity - backlog.count
        if bytes.count > room {
            // Whole lines: the next one begins as one.
            let end = bytes.prefix(max(0, room)).lastIndex(of: UInt8(ascii: "\n"))
            kept = bytes.prefix(end.map { $0 + 1 } ?? 0)
        }
        let left = bytes[kept.endIndex...]
        let hadBacklog = !backlog.isEmpty
        backlog += kept
        if !hadBacklog, !send() { return bytes.count { $0 == UInt8(ascii: "\n") } }
        return left.isEmpty ? 0 : max(1, left.count { $0 == UInt8(ascii: "\n") })
    }

    /// Tries again, if it is time.
    func retry(at now: MonotonicInstant) {
        guard let nextTry, nextTry <= now else { return }
        _ = send()
    }

    /// Nothing follows: writes what the reader takes within a short time.
    func finish() {
        let deadline = MonotonicInstant.now + Self.lastPatience
        while !backlog.isEmpty, send(), !backlog.isEmpty, .now < deadline {
            _ = try? Polling.waitUntilReadable([], until: min(deadline, .now + Self.pause))
        }
    }

    /// - Returns: false when standard error is closed or broken. What waited for it is gone then.
    private func send() -> Bool {
        nextTry = nil
        do throws(SystemError) {
            let taken = backlog.withUnsafeBytes { bytes in
                Result { () throws(SystemError) in try writeWithoutBlocking(to: descriptor, bytes) }
            }
            backlog.removeFirst(try taken.get() ?? 0)
        } catch {
            backlog.removeAll()
            return false
        }
        if !backlog.isEmpty { nextTry = .now + Self.pause }
        return true
    }
}
