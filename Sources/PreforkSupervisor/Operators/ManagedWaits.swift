// Operators that wait for a managed process that they have had restarted.

import PreforkSystem

/// What a client of the control socket waits for: the next process of a target runs, or has done its work.
struct ManagedWait: Equatable {
    let name: String
    /// Of the process before.
    let generation: Int

    /// The result. If nil, it is still in progress.
    ///
    /// - Parameter status: if nil, there is no such target any more.
    func outcome(_ status: TargetStatus?) -> ControlOutcome? {
        guard let status else { return .failed("\(name) was removed") }
        let isNew = status.generation > generation
        switch status.phase {
        case .running where isNew: return .done("\(name): pid \(status.pid ?? 0) runs")
        case .stopped where isNew && status.isCompleted: return .done("\(name) has finished")
        case .failed, .stopped: return .failed("\(name) is not running\(ending(of: status))")
        case .backoff where isNew: return .failed("\(name) ended before it was ready\(ending(of: status))")
        case .starting, .running, .stopping, .backoff: return nil
        }
    }

    private func ending(of status: TargetStatus) -> String {
        if let missing = status.missingDependency { return ": \(missing) cannot become ready" }
        guard let exit = status.lastExit, exit.generation == status.generation else {
            return status.crashedProcesses.isEmpty ? "" : ": its last process has crashed"
        }
        return ": its last process \(exit.status)"
    }
}

struct ManagedWaits {
    typealias Body = (ControlOutcome) -> Void
    private var waits: [(wait: ManagedWait, body: Body)] = []

    mutating func add(_ wait: ManagedWait, _ body: @escaping Body) { waits.append((wait, body)) }

    /// Takes out the clients whose wait is over.
    ///
    /// - Parameter isEnding: the pool stops, and its managed processes with it.
    /// - Returns: what to answer them.
    mutating func end(isEnding: Bool, _ status: (String) -> TargetStatus?) -> [(body: Body, outcome: ControlOutcome)] {
        if waits.isEmpty { return [] }
        var over: [(Body, ControlOutcome)] = []
        waits.removeAll { waiting in
            let outcome = isEnding ? .failed("the pool is stopping") : waiting.wait.outcome(status(waiting.wait.name))
            guard let outcome else { return false }
            over.append((waiting.body, outcome))
            return true
        }
        return over
    }
}

extension Supervisor {
    package func managedProcesses() -> [TargetStatus] { targets?.managedStatuses ?? [] }

    func restartManaged(_ name: String, _ whenOver: ((ControlOutcome) -> Void)?) -> ControlOutcome {
        guard pool.phase == .running else { return .failed("the pool is stopping") }
        guard let targets, let before = try? targets.status(of: name) else {
            return .failed("there is no managed process \"\(ForeignText(name).escaped(for: .log))\"")
        }
        do throws(ProcessError) { try targets.restart(name) } catch { return .failed("\(error)") }
        if let whenOver { managedWaits.add(ManagedWait(name: name, generation: before.generation), whenOver) }
        return .done("\(name) is restarted")
    }

    /// After each turn of theirs.
    func tellManagedWaits() {
        let over = managedWaits.end(isEnding: !pool.isServing) { try? targets?.status(of: $0) }
        for (body, outcome) in over { body(outcome) }
    }
}
