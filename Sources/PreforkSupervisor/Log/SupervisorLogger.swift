// The one way into the supervisor's log.

import PreforkSystem

/// Writes lines, each with the cause that decides whether it is thinned: what a child, a client or a peer can cause is
/// written once a second for each cause (see `LogEvent.burst`), with the number of those that were left out. That
/// number follows in the next line of the cause, else when the cause was silent for a second, else at the end.
final class SupervisorLogger {
    /// A pool of the largest size has more slots than this. Slots that find no room share one cause.
    private static let mostCauses = 4096

    private var thinning = LineThinning<LogCause>(mostCauses: mostCauses)
    private let write: (LogLine) -> Void
    /// Where lines may wait for a reader.
    private let standardError: StandardErrorLog
    /// What hooks print.
    private let standardOutput = StandardErrorLog(descriptor: 1)
    private let isByProgram: Bool

    /// - Parameters:
    ///   - standardError: what `write` uses, if it does.
    ///   - isByProgram: `write` is code of the program's own, which may print.
    init(
        beside standardError: StandardErrorLog? = nil, isByProgram: Bool = false, _ write: @escaping (LogLine) -> Void
    ) {
        self.write = write
        self.standardError = standardError ?? StandardErrorLog()
        self.isByProgram = isByProgram
    }

    /// Runs the program's own code, which may print. What it prints goes to standard output and standard error without
    /// waiting for their readers. Up to 1 MiB waits for them. Beyond that, output is lost, and the log says so.
    func running<Result, Failure: Error>(_ hook: () throws(Failure) -> Result) throws(Failure) -> Result {
        DivertedOutput.begin()
        defer { if let text = DivertedOutput.end() { passOn(text) } }
        return try hook()
    }

    private func passOn(_ text: DivertedOutput.Text) {
        let lost = standardOutput.pass(text.output) + standardError.pass(text.errors)
        guard lost > 0 else { return }
        let lines = lost == 1 ? "line" : "lines"
        say(LogLine(.warning, "\(lost) \(lines) that the program printed in a hook were lost"), by: .pool(.output))
    }

    private func put(_ line: LogLine) {
        if isByProgram { running { write(line) } } else { write(line) }
    }

    func say(_ line: LogLine, by cause: LogCause, at now: @autoclosure () -> MonotonicInstant = .now) {
        say([line], by: cause, at: now())
    }

    /// Lines that belong together: all are written, or no line is.
    func say(_ lines: [LogLine], by cause: LogCause, at now: @autoclosure () -> MonotonicInstant = .now) {
        var lines = lines
        for index in lines.indices { lines[index].fields.add(cause) }
        guard let event = cause.event else { return lines.forEach(put) }
        guard !lines.isEmpty, case .write(let leftOut) = thinning.judge(cause, burst: event.burst, at: now()) else {
            return
        }
        for line in lines.dropLast() { put(line) }
        put(lines[lines.count - 1].adding(leftOut: leftOut))
    }

    /// When `tellLeftOut` has something to do. If nil, nothing was left out, and nothing waits.
    var nextDeadline: MonotonicInstant? {
        [thinning.nextDeadline, standardError.nextTry, standardOutput.nextTry].lazy.compactMap { $0 }.min()
    }

    /// Tells how many lines were left out of causes that are silent, and tries lines again that wait for a reader.
    func tellLeftOut(at now: MonotonicInstant) {
        tell(thinning.takeSettled(at: now))
        standardError.retry(at: now)
        standardOutput.retry(at: now)
    }

    /// Tells it of all causes: this process ends, or becomes another program.
    func tellAllLeftOut() {
        tell(thinning.takeAll())
        standardError.finish()
        standardOutput.finish()
    }

    private func tell(_ rests: [LineThinning<LogCause>.Rest]) {
        for rest in rests {
            let line = rest.cause?.line(leftOut: rest.leftOut)
            put(line ?? LogLine(.warning, "\(rest.leftOut) more lines of other causes left out"))
        }
    }
}

extension LogCause {
    /// If nil, it is not thinned.
    fileprivate var event: LogEvent? {
        switch self {
        case .own: nil
        case .worker(_, let event), .target(_, let event), .pool(let event): event
        }
    }
}

extension LogLine {
    /// With how many of its kind were left out.
    func adding(leftOut count: Int) -> LogLine {
        count == 0 ? self : LogLine(level, "\(text) (and \(count) like this left out)", fields)
    }
}
