// Operators that wait for the end of what they have asked the pool for.

import PreforkSystem

/// What a client of the control socket waits for.
enum CommandWait: Equatable {
    /// A worker that was asked to finish ends.
    case end(slot: Int, pid: Int32)
    /// The pool was made larger, or is to be as large as it was: so many workers are ready.
    case ready(count: Int)
    /// The pool was made smaller: those that are too many have ended.
    case fewer(count: Int)

    init?(_ command: ControlCommand, before: Pool, after: Pool) {
        switch command {
        case .drain(let slot):
            guard before.slots.indices.contains(slot), let worker = before.slots[slot].worker else { return nil }
            self = .end(slot: slot, pid: worker.pid)
        case .scale:
            self = after.target < before.target ? .fewer(count: after.target) : .ready(count: after.target)
        default:
            return nil
        }
    }

    /// Whether there is nothing to wait for.
    func isOver(in pool: Pool) -> ControlOutcome? {
        switch self {
        case .end: nil
        case .ready(let count):
            pool.slots.count { !$0.isRetired && $0.isReady } >= count ? .done("\(count) workers serve") : nil
        case .fewer(let count):
            pool.slots.allSatisfy { !$0.isRetired || $0.isFinal } ? .done("\(count) workers are left") : nil
        }
    }

    /// What has come of it; nil: it goes on.
    ///
    /// - Parameter pool: as it is after what is reported.
    func outcome(of report: PoolReport, in pool: Pool) -> ControlOutcome? {
        switch (self, report) {
        case (_, .stopping):
            return .failed("the pool stops")
        case (.end(let slot, let pid), .exited(let exit)) where exit.pid == pid:
            let text = "worker \(slot) (pid \(pid)) \(exit.status)"
            return exit.killReason.map { .failed("\(text): \($0)") } ?? .done(text)
        case (.ready(let count), .scaled(_, let now, _)) where now != count,
            (.fewer(let count), .scaled(_, let now, _)) where now != count:
            return .failed("there are to be \(now) workers by now")
        default:
            return isOver(in: pool)
        }
    }
}

/// Who waits, and how to tell them. An object: the supervisor's servers have it, and are a value.
final class CommandWaits {
    typealias Body = (ControlOutcome) -> Void
    private var waits: [(wait: CommandWait, body: Body)] = []

    func add(_ wait: CommandWait, _ body: @escaping Body) {
        waits.append((wait, body))
    }

    func end(_ report: PoolReport, in pool: Pool) {
        if waits.isEmpty { return }
        var over: [(Body, ControlOutcome)] = []
        waits.removeAll { waiting in
            guard let outcome = waiting.wait.outcome(of: report, in: pool) else { return false }
            over.append((waiting.body, outcome))
            return true
        }
        for (body, outcome) in over { body(outcome) }
    }
}

extension Supervisor {
    /// Answers those for whom this was what they waited for. For every report, when the pool has changed.
    func endWaits(_ report: PoolReport) {
        servers?.waits.end(report, in: pool)
        guard case .stopping = report else { return }
        // What is replaced now will not be: the pool has no report for it any more.
        let left = reloadWaiters.map(\.body) + restartWaiters.map(\.body)
        (reloadWaiters, restartWaiters) = ([], [])
        for body in left { body(.failed("the pool stops")) }
    }
}
