// The end of a pool.

import PreforkSystem

extension Pool {
    mutating func stop(_ kind: StopRequestKind, _ now: MonotonicInstant, _ actions: inout [PoolAction]) {
        switch (phase, kind) {
        case (.running, _):
            let reason: PoolStopReason = kind == .quick ? .quick : .graceful
            phase = .stopping(reason, outcome: .stopped)
            actions.append(.report(.stopping(reason)))
            let timeout = kind == .quick ? settings.quickTimeout : settings.drainTimeout
            askAllToStop(kind == .quick ? .interrupt : .terminate, deadline: now + timeout, &actions)
            if reload != nil { abortReload("the pool stops", now, &actions) }
        case (.stopping(.quick, _), .quick):
            killAll(&actions)
        case (.stopping(_, let outcome), .quick):
            phase = .stopping(.quick, outcome: outcome)
            actions.append(.report(.stopping(.quick)))
            askAllToStop(.interrupt, deadline: now + settings.quickTimeout, &actions)
        case (.stopping, .graceful), (.finished, _):
            break
        }
    }

    mutating func askAllToStop(_ signal: Signal, deadline: MonotonicInstant, _ actions: inout [PoolAction]) {
        for index in slots.indices {
            switch slots[index].state {
            case .backingOff:
                slots[index].state = .ended
            case .booting(let worker, _), .ready(let worker), .draining(let worker, _, _):
                slots[index].state = .draining(worker, deadline: deadline, wasReady: slots[index].wasReady)
                actions.append(.signal(slot: index, spawn: worker.spawn, signal))
            case .killed, .ended, .failed:
                break
            }
            for position in slots[index].leaving.indices where slots[index].leaving[position].killReason == nil {
                let worker = slots[index].leaving[position]
                // It was asked to end before, but alone. Now no worker is left for the connections that wait in the
                // accept queue.
                if worker.ended == nil {
                    actions.append(.signal(slot: index, spawn: worker.worker.spawn, signal))
                }
                slots[index].leaving[position].deadline = min(worker.deadline, deadline)
            }
            sendAwayReplacement(index, signal, until: deadline, &actions)
        }
    }

    private mutating func killAll(_ actions: inout [PoolAction]) {
        for index in slots.indices {
            for position in slots[index].leaving.indices where slots[index].leaving[position].killReason == nil {
                killLeaving(index, position, .stopNow, &actions)
            }
            guard let worker = slots[index].worker else { continue }
            if case .killed = slots[index].state { continue }
            kill(index, worker, .stopNow, &actions)
        }
    }
}
