// The lines of the supervisor's log, one for each event.

import PreforkSystem

/// One line of the supervisor's log.
public struct LogLine: Hashable, Sendable {
    /// How urgent a line is. The raw value is the word in the log. systemd's journal gets the matching priority.
    public enum Level: String, Hashable, Sendable, CaseIterable {
        /// An ordinary event: a start, a reload, an end that was asked for.
        case info
        /// The service works, but an operator should know.
        case warning
        /// Something failed: a crash, a start, a reload.
        case error
        /// What a worker or managed process has written itself.
        case notice
    }

    /// How urgent the line is.
    public var level: Level
    /// Without time, process ID, line end or other control characters.
    public var text: String
    /// What the line is about.
    public var fields: LogFields

    package init(_ level: Level, _ text: String, _ fields: LogFields = LogFields()) {
        self.level = level
        self.fields = fields
        // Parts of it come from others: names of threads and files, errors of hooks. One event, one line, and nothing
        // that a terminal would obey.
        self.text = ForeignText(text).escaped(for: .log, atMost: ForeignText.lineLimit)
    }

    /// The line as it is written, with its end: `2026-11-21T03:00:00.042Z prefork[4711] info: worker 0 started`.
    package func written(at timestamp: String, pid: Int32) -> String {
        "\(timestamp) prefork[\(pid)] \(level.rawValue): \(text)\n"
    }
}

extension PoolReport {
    /// The event as a sentence for the operator.
    ///
    /// - Parameter slots: the desired number of workers. If nil, as many as are ready.
    func line(limit: Int, slots: Int? = nil) -> LogLine {
        switch self {
        case .forked(let taskID, let pid, let restart):
            LogLine(
                .info, "worker \(taskID) started (pid \(pid)\(restart > 0 ? ", restart \(restart) of it" : ""))",
                LogFields(pid: pid))
        case .forkFailed(let taskID, let reason, let delay):
            LogLine(.error, "worker \(taskID) not started: \(reason); next try in \(delay.short)")
        case .ready(let taskID, let pid, let generation, let after):
            LogLine(
                .info,
                "worker \(taskID) ready (pid \(pid)\(generation > 1 ? ", generation \(generation)" : "")) after \(after.short)",
                LogFields(pid: pid, generation: generation))
        case .allReady(let workers) where slots.map({ workers < $0 }) == true:
            // The others are done, or it would not be told yet.
            LogLine(.info, "all workers are ready: \(workers) of \(slots ?? workers), the rest ended with exit code 0")
        case .allReady(let workers):
            LogLine(.info, workers == 1 ? "the worker is ready" : "all \(workers) workers are ready")
        case .crashed(let taskID, let pid, let sign):
            LogLine(
                .warning,
                "worker \(taskID) (pid \(pid)) has crashed (\(sign.signal))"
                    + (sign.hasBacktracer ? ": its stack is being read" : ""))
        case .exited(let report):
            report.line(limit: limit)
        case .stopDelayed(let delay):
            LogLine(.info, "stop asked for: not ready any more, serving for another \(delay.short)")
        case .stopping(let reason):
            LogLine(reason.level, reason.text)
        case .killing(let taskID, let pid, let reason):
            LogLine(.warning, "worker \(taskID) (pid \(pid)) gets SIGKILL: \(reason.text)", LogFields(pid: pid))
        case .hung(let taskID, let pid, let silent):
            LogLine(
                .error, "worker \(taskID) (pid \(pid)) is hung: no sign of life for \(silent.short)",
                LogFields(pid: pid))
        case .recovered(let taskID, let pid):
            LogLine(.warning, "worker \(taskID) (pid \(pid)) responds again", LogFields(pid: pid))
        case .stoodStill(let duration):
            LogLine(.warning, "the supervisor did not run for \(duration.short): no worker counts as hung for that")
        case .scaled(let before, let count, .asked):
            LogLine(.info, "\(count) workers instead of \(before): requested")
        case .scaled(let before, let count, .program):
            LogLine(.info, "\(count) workers instead of \(before): set by the program")
        case .scaled(let before, let count, .load(let busy, let waiting)):
            LogLine(.info, "\(count) workers instead of \(before): \(busy) % busy, \(waiting) connections waiting")
        case .spare(let report):
            report.line
        default:
            replacementLine
        }
    }
}

extension ExitReport {
    static let outOfMemoryText = ", out of memory: the kernel's OOM killer was at work (memory.events)"

    fileprivate func line(limit: Int) -> LogLine {
        var text = "worker \(taskID) (pid \(pid)) \(status) after \(uptime.short)"
        if let crash { text += crash.cause }
        let hand = RequestsInHand(of: self).sentence
        if hadRequest { text += ", with a request in hand" + (hand.isEmpty ? "" : ": \(hand)") }
        if !wasReady { text += ", before it was ready" }
        if outOfMemory { text += Self.outOfMemoryText }
        text += " [cpu \((usage.userTime + usage.systemTime).short), peak \(usage.peakMemory >> 20) MiB]"
        switch consequence {
        case .none:
            break
        case .restart(let delay, let number):
            text += "; restart \(delay == .zero ? "at once" : "in \(delay.short)")"
            if isCounted, wasReady { text += ", \(number) of \(limit)" }
        case .giveUp:
            text += "; no further restart"
        }
        if !hadRequest, !hand.isEmpty { text += "; it had in hand: \(hand)" }
        if !isQuiet || isCrash { text += spokenLast }
        return LogLine(
            isQuiet ? .info : .warning, text, LogFields(pid: pid, generation: generation, status))
    }

    private var isQuiet: Bool { consequence == .none && (status.isSuccess || killReason == nil) }

    /// What the worker itself said of its end.
    private var spokenLast: String {
        guard let lastWords else { return isCrash ? "; its last output was not captured" : "" }
        return lastWords.spoken
    }
}

extension PoolStopReason {
    fileprivate var level: LogLine.Level { self == .graceful || self == .quick ? .info : .error }

    var text: String {
        switch self {
        case .graceful: "stopping: workers finish what is in flight"
        case .quick: "stopping quickly: workers drop what is in flight"
        case .tooManyRestarts: "too many restarts: stopping all workers"
        case .startFailed: "start failed, no worker has become ready: stopping"
        }
    }
}

extension KillReason {
    var text: String {
        switch self {
        case .bootTimeout: "not ready within the boot timeout"
        case .drainTimeout: "still running after the drain timeout"
        case .stopNow: "asked to stop at once"
        case .hung: "hung"
        case .asked: "requested by an operator"
        case .oldGeneration: "too many generations alive"
        case .crashed: "crashed, and its backtrace took too long or too many backtracers were running"
        }
    }
}

extension Duration {
    /// For people: `312 µs`, `4.2 ms`, `1.5 s`, `3 min 20 s`.
    package var short: String {
        let seconds = self.seconds
        func rounded(_ value: Double) -> String {
            value >= 100 ? "\(Int(value))" : "\(Double(Int(value * 10)) / 10)"
        }
        if seconds < 0.001 { return "\(Int(seconds * 1e6)) µs" }
        if seconds < 1 { return "\(rounded(seconds * 1e3)) ms" }
        if seconds < 120 { return "\(rounded(seconds)) s" }
        let minutes = Int(seconds) / 60
        return minutes < 120 ? "\(minutes) min \(Int(seconds) % 60) s" : "\(minutes / 60) h \(minutes % 60) min"
    }
}
