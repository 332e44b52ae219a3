// Carrying out the pool's actions.

import PreforkSystem

extension Supervisor {
    /// Tells the pool what happened and does what it wants.
    ///
    /// - Returns: the seat, when the caller now is a new worker.
    func handle(_ event: PoolEvent) -> WorkerSeat? {
        carryOut(pool.handle(event, at: .now))
    }

    /// Does what an operator asks for.
    func perform(_ command: ControlCommand) -> WorkerSeat? {
        _ = perform(command, completion: nil)
        return carryOutDeferred()
    }

    func carryOutDeferred() -> WorkerSeat? {
        let actions = deferred
        deferred = []
        return carryOut(actions)
    }

    func carryOut(_ wanted: [PoolAction]) -> WorkerSeat? {
        queues.isDue = true
        tellPromises()
        var actions = wanted
        // Forks first: clients wait for the worker, the log and the hooks do not mind. The effects of the forks are
        // reported last, so that a death is reported before its replacement.
        var next = 0
        while next < actions.count {
            if case .fork(let slot, let spawn) = actions[next],
                let generation = pool.generation(ofFork: spawn, slot: slot)
            {
                switch fork(slot: slot, spawn: spawn, generation: generation) {
                case .parent(let result): actions += pool.handle(result, at: .now)
                case .child(let seat): return seat
                }
            }
            next += 1
        }
        tellPromises()
        // Before the program's own code runs, which may end.
        describeWayBack()
        for action in actions {
            switch action {
            case .fork: break
            case .signal(_, let spawn, let signal): send(signal, to: spawn)
            case .dumpStack(_, let spawn): dumpStack(of: spawn)
            case .report(let report): tell(report)
            case .finish(let outcome): self.outcome = outcome
            }
        }
        // Every change of the pool comes with a report.
        if actions.contains(where: { if case .report = $0 { true } else { false } }) {
            host.notifyStatus(pool.serviceStatus)
        }
        return nil
    }
}
