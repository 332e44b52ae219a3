// Operators that ask for a run of a once-task, and wait for its end.

import PreforkSystem

/// Clients of the control socket that wait for runs.
struct OnceWaits {
    typealias Body = (ControlOutcome) -> Void
    private var waits: [(name: String, run: UInt64, body: Body)] = []

    mutating func add(_ name: String, run: UInt64, _ body: @escaping Body) { waits.append((name, run, body)) }

    /// Takes out the clients whose run is over.
    ///
    /// - Returns: what to answer them.
    mutating func end(_ tasks: () -> [OnceStatus], isEnding: Bool) -> [(body: Body, outcome: ControlOutcome)] {
        if waits.isEmpty { return [] }
        let tasks = tasks()
        var over: [(Body, ControlOutcome)] = []
        waits.removeAll { wait in
            let status = tasks.first { $0.name == wait.name }
            guard let outcome = Self.outcome(wait.name, wait.run, status, isEnding: isEnding) else { return false }
            over.append((wait.body, outcome))
            return true
        }
        return over
    }

    /// - Parameter isEnding: no process of a run is left.
    /// - Returns: nil while the run is going.
    static func outcome(_ name: String, _ run: UInt64, _ status: OnceStatus?, isEnding: Bool) -> ControlOutcome? {
        guard let status else { return .failed("\(name) was removed") }
        guard let last = status.last, last.ticket.run >= run else {
            return isEnding ? .failed("the pool is stopping") : nil
        }
        if last.ticket.run > run { return .failed("run \(run) of \(name) is over, and a later one, too") }
        let text = "run \(run) of \(name) \(last.status) after \(last.duration.short)"
        return last.result == .done ? .done(text) : .failed("\(text) (\(last.result.rawValue))")
    }
}

extension Supervisor {
    package func onceTasks() -> [OnceStatus] { targets?.onceStatuses ?? [] }

    func runTask(_ name: String, _ whenOver: ((ControlOutcome) -> Void)?) -> ControlOutcome {
        guard pool.phase == .running else { return .failed("the pool is stopping") }
        guard upgrade?.isTried != true, !isGoingBack else { return .failed("an upgrade is in progress") }
        guard let targets else { return .failed("there is no once-task \"\(Escaping.brief(name))\"") }
        switch targets.requestRun(of: name) {
        case .failure(let refusal): return .failed(refusal.text)
        case .success(let run):
            haveTargetNews = true
            if let whenOver { onceWaits.add(name, run: run, whenOver) }
            return .done("run \(run) of \(name) began")
        }
    }

    /// After each turn of the managed processes.
    func tellOnceWaits() {
        let isEnding = outcome != nil && targets?.isBusy != true
        let over = onceWaits.end({ onceTasks() }, isEnding: isEnding)
        for (body, outcome) in over { body(outcome) }
    }
}
