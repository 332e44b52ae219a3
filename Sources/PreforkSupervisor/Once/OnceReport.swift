// Facts about once-tasks, and their log lines.

import PreforkSystem

/// A fact about a once-task. The end of its process has a line besides: `TargetReport.exited`.
enum OnceReport: Equatable {
    case began(name: String, pid: Int32, OnceTicket, lateness: Duration)
    /// Due times have come without a run of their own. `count` of them, the last one included.
    case coalesced(name: String, count: UInt64, last: UInt64)
    case skipped(name: String, count: UInt64, last: UInt64)
    case timedOut(name: String, run: UInt64, pid: Int32, limit: Duration)
    /// A run in a worker, or one that had no lease, has ended.
    case ended(name: String, OnceRunReport)
    /// `retry` is nil if the run is not repeated. `isCutOff`: its worker has ended in order, without it.
    case killed(name: String, run: UInt64, pid: Int32, isCutOff: Bool, retry: Duration?)
    /// The wall clock was set back: the schedule begins anew.
    case setBack(name: String)

    var name: String {
        switch self {
        case .began(let name, _, _, _), .coalesced(let name, _, _), .skipped(let name, _, _),
            .timedOut(let name, _, _, _), .ended(let name, _), .killed(let name, _, _, _, _), .setBack(let name):
            name
        }
    }

    var line: LogLine {
        switch self {
        case .began(let name, let pid, let ticket, let lateness):
            let due = ticket.due == 0 ? "as an operator asked" : "for due time \(ticket.due)"
            let attempt = ticket.attempt > 1 ? ", attempt \(ticket.attempt)" : ""
            let late = lateness > .seconds(1) ? ", \(lateness.short) late" : ""
            return LogLine(.info, "once-task \(name): run \(ticket.run) began (pid \(pid)) \(due)\(attempt)\(late)")
        case .coalesced(let name, let count, let last):
            let times = Self.dueTimes(count, last)
            let them = count == 1 ? "it" : "them"
            return LogLine(.warning, "once-task \(name): \(times) without a run: a later run stands for \(them)")
        case .skipped(let name, let count, let last):
            return LogLine(.warning, "once-task \(name): \(Self.dueTimes(count, last)) missed and left out")
        case .timedOut(let name, let run, let pid, let limit):
            return LogLine(
                .warning,
                "once-task \(name): run \(run) (pid \(pid)) is asked to end: it takes longer than \(limit.short)")
        case .ended(let name, let report):
            if report.result.isWithoutBody { return Self.withoutBody(name, report) }
            let isGood = report.result == .done
            let text = "run \(report.ticket.run) of \(name) is \(isGood ? "done" : report.result.rawValue)"
            return LogLine(isGood ? .info : .warning, "\(text) (pid \(report.pid)) after \(report.duration.short)")
        case .killed(let name, let run, let pid, let isCutOff, let retry):
            let end = isCutOff ? "was cut off" : "was killed"
            let after = retry.map { $0 <= .zero ? "it is begun again at once" : "it is begun again in \($0.short)" }
            let next = after ?? "the next due time is the next run"
            return LogLine(.warning, "once-task \(name): run \(run) (pid \(pid)) \(end): \(next)")
        case .setBack(let name):
            return LogLine(.warning, "once-task \(name): the clock was set back, its schedule begins anew")
        }
    }

    private static func withoutBody(_ name: String, _ report: OnceRunReport) -> LogLine {
        let due = report.ticket.due == 0 ? "what an operator asked for" : "due time \(report.ticket.due)"
        guard report.result == .noLease else {
            return LogLine(.info, "once-task \(name): another machine has \(due), or a run")
        }
        return LogLine(.warning, "once-task \(name): \(due) has no run here, because the lease could not be had")
    }

    private static func dueTimes(_ count: UInt64, _ last: UInt64) -> String {
        count == 1 ? "due time \(last)" : "due times \(last - min(last, count) + 1) to \(last)"
    }

    var cause: LogCause {
        switch self {
        case .began: .target(name, .start)
        case .ended: .target(name, .end)
        case .timedOut, .killed: .target(name, .kill)
        case .coalesced, .skipped: .target(name, .order)
        case .setBack: .target(name, .scaling)
        }
    }
}
