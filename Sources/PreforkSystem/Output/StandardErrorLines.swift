// Lines that a process of the pool writes by itself: a worker, a managed process, a subscriber.

import Synchronization

/// The supervisor's log is its own. What a worker has to say goes to standard error, in the same form, and thinned by
/// cause: its clients and peers can cause many of these lines.
package enum StandardErrorLines {
    private struct State {
        var thinning = LineThinning<String>()
        /// A caller has promised to call `tellSettled`.
        var isLookPlanned = false
    }

    private static let state = Mutex(State())

    /// Writes a line, unless one of its cause was written within the last second. Nothing in `text` ends the line or
    /// commands a terminal.
    ///
    /// - Parameter hasMoreLines: whether line ends in `text` are intended. The text after a line end is indented, so
    ///   that it cannot pass for another line's beginning.
    /// - Returns: after how long the caller must call `tellSettled`, if a line was left out and no other caller has
    ///   promised to.
    @discardableResult
    package static func say(_ level: String, _ text: String, by cause: String, hasMoreLines: Bool = false)
        -> Duration?
    {
        let (verdict, pause) = state.withLock { state in
            let now = MonotonicInstant.now
            let verdict = state.thinning.judge(cause, at: now)
            guard verdict == .leaveOut, !state.isLookPlanned else { return (verdict, Duration?.none) }
            state.isLookPlanned = true
            return (verdict, state.thinning.nextDeadline.map { $0 - now })
        }
        if case .write(let leftOut) = verdict {
            let text = leftOut > 0 ? "\(text) (and \(leftOut) like this left out)" : text
            write(level, hasMoreLines ? text.split(separator: "\n").map(String.init) : [text])
        }
        return pause
    }

    /// Reports how many lines were left out of causes that have been silent for a second.
    ///
    /// - Returns: after how long it must be called again. If nil, a later `say` reports it.
    package static func tellSettled() -> Duration? {
        let (rests, pause) = state.withLock { state in
            let now = MonotonicInstant.now
            let rests = state.thinning.takeSettled(at: now)
            let pause = state.thinning.nextDeadline.map { $0 - now }
            state.isLookPlanned = pause != nil
            return (rests, pause)
        }
        tell(rests)
        return pause
    }

    /// Reports it for all causes, because nothing follows.
    package static func tellAllLeftOut() {
        tell(state.withLock { $0.thinning.takeAll() })
    }

    /// In a forked child: lines that its parent has left out are the parent's to report.
    static func forget() {
        state.withLock { $0 = State() }
    }

    private static func tell(_ rests: [LineThinning<String>.Rest]) {
        for rest in rests {
            let lines = rest.leftOut == 1 ? "line" : "lines"
            write("warning", ["\(rest.leftOut) more \(lines) (\(rest.cause ?? "other causes")) left out"])
        }
    }

    /// With the worker in front, where the text does not begin with it.
    private static func named(_ text: String) -> String {
        guard let worker = TaskIdentity.current?.taskID, !text.hasPrefix("worker \(worker) ") else { return text }
        return "worker \(worker): \(text)"
    }

    private static func write(_ level: String, _ lines: [String]) {
        var text = ""
        for line in lines.map({ ForeignText($0).escaped(for: .log, atMost: ForeignText.lineLimit) }) {
            text += text.isEmpty ? line : (line.hasPrefix(" ") ? "\n" : "\n  ") + line
        }
        text = named(text)
        // Looked up for each text: a child's standard error may be another one than its parent's.
        if JournalStream.isStream(2) {
            // To the journal each line is an entry.
            let prefix = JournalStream.prefix(ofLevel: level)
            text = text.split(separator: "\n").map { prefix + $0 }.joined(separator: "\n")
        } else {
            text = "\(WallClock.timestamp) prefork[\(CurrentProcess.pid)] \(level): \(text)"
        }
        _ = writeToStandardErrorWithoutBlocking(text + "\n")
    }
}
