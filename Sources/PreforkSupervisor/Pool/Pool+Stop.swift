// The end of a pool.

import PreforkSystem

extension Pool {
    mutating func stop(_ kind: StopRequestKind) {
        switch (phase, kind) {
        case (.running, _):
            let reason: PoolStopReason = kind == .quick ? .quick : .graceful
            phase = .stopping(reason, outcome: .stopped)
            actions.append(.report(.stopping(reason)))
            let timeout = kind == .quick ? settings.quickTimeout : settings.drainTimeout
            askAllToStop(kind == .quick ? .interrupt : .terminate, deadline: now + timeout)
            if reload != nil { abortReload("the pool is stopping") }
        case (.stopping(.quick, _), .quick):
            for index in slots.indices { actions += slots[index].killAll(.stopNow) }
        case (.stopping(_, let outcome), .quick):
            phase = .stopping(.quick, outcome: outcome)
            actions.append(.report(.stopping(.quick)))
            askAllToStop(.interrupt, deadline: now + settings.quickTimeout)
        case (.stopping, .graceful), (.finished, _):
            break
        }
    }

    mutating func askAllToStop(_ signal: Signal, deadline: MonotonicInstant) {
        for index in slots.indices { actions += slots[index].stop(signal, until: deadline) }
    }
}
