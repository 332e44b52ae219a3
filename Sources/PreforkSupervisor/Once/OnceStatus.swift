// Once-tasks as operators see them.

import PreforkSystem

/// One task, for the control socket, the metrics and `preforkctl tasks`.
package struct OnceStatus: Equatable, Sendable {
    package enum State: String, Sendable {
        case idle
        /// A run waits for the end of a process that cannot be collected, or for the time of its repetition.
        case waiting
        case starting
        case running
        /// It was asked to end, because it took too long.
        case ending
    }

    package var name: String
    package var schedule: String
    package var state: State
    package var pid: Int32?
    package var ticket: OnceTicket?
    /// How long the run has been going.
    package var runningFor: Duration?
    package var last: OnceRunReport?
    package var lastSuccess: Int64?
    /// In milliseconds since 1970, and from now on.
    package var nextDue: Int64
    package var nextIn: Duration
    package var dueTimes: UInt64
    package var waiting: Int
    package var counters: OnceCounters
}

extension OnceTask {
    func status(at now: OnceInstant) -> OnceStatus {
        var status = OnceStatus(
            name: name, schedule: settings.schedule.text, state: waiting.isEmpty ? .idle : .waiting, pid: nil,
            ticket: current, last: last, lastSuccess: lastSuccess, nextDue: dueTimes.nextWall(at: now),
            nextIn: max(.zero, dueTimes.deadline(at: now) - now.monotonic), dueTimes: dueTimes.count,
            waiting: waiting.count, counters: counters)
        switch phase {
        case .idle: break
        case .starting: status.state = .starting
        case .running(_, let pid, let began, let isLate):
            status.state = isLate ? .ending : .running
            status.pid = pid
            status.runningFor = now.monotonic - began
        }
        return status
    }
}

extension JSONWriter {
    mutating func onceTask(_ status: OnceStatus) {
        object { object in
            object.member("name", status.name)
            object.member("schedule", status.schedule)
            object.member("state", status.state.rawValue)
            object.member("pid", status.pid)
            object.member("run", status.ticket?.run)
            object.member("runningFor", status.runningFor)
            object.member("next", WallClock.timestamp(of: status.nextDue))
            object.member("nextIn", status.nextIn)
            object.member("dueTimes", status.dueTimes)
            object.member("waiting", status.waiting)
            object.member("coalesced", status.counters.coalesced)
            object.member("skipped", status.counters.skipped)
            for result in OnceResult.allCases {
                let count = status.counters.results[result] ?? 0
                switch result {
                case .done: object.member("done", count)
                case .failed: object.member("failed", count)
                case .timedOut: object.member("timedOut", count)
                case .killed: object.member("killed", count)
                case .stopped: object.member("stopped", count)
                case .elsewhere: object.member("elsewhere", count)
                case .noLease: object.member("noLease", count)
                }
            }
            object.member("lastSuccess", status.lastSuccess.map { WallClock.timestamp(of: $0) })
            object.name("last")
            guard let last = status.last else { return object.null() }
            object.object { object in
                object.member("run", last.ticket.run)
                object.member("dueTime", last.ticket.due)
                object.member("attempt", last.ticket.attempt)
                object.member("pid", last.pid)
                object.member("result", last.result.rawValue)
                object.member("status", last.status)
                object.member("duration", last.duration)
                object.member("ended", WallClock.timestamp(of: last.time))
            }
        }
    }
}
