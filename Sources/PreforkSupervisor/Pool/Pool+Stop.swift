// The end of a pool.

import PreforkSystem

extension Pool {
    /// Whether workers that die are replaced: the pool runs, or delays its stop.
    var isServing: Bool { phase == .running || stopDelayEnd != nil }

    /// When a stop that was asked for begins, if it is delayed.
    var stopDelayEnd: MonotonicInstant? {
        if case .delayingStop(let end) = phase { end } else { nil }
    }

    mutating func stop(_ kind: StopRequestKind) {
        switch (phase, kind) {
        case (.running, .graceful) where settings.stopDelay > .zero && hasBeenReady:
            phase = .delayingStop(until: now + settings.stopDelay)
            actions.append(.report(.stopDelayed(by: settings.stopDelay)))
            if reload != nil { abortReload("the pool is about to stop") }
        case (.running, _), (.delayingStop, _):
            beginStop(kind)
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

    mutating func beginStop(_ kind: StopRequestKind) {
        let reason: PoolStopReason = kind == .quick ? .quick : .graceful
        phase = .stopping(reason, outcome: .stopped)
        actions.append(.report(.stopping(reason)))
        let timeout = kind == .quick ? settings.quickTimeout : settings.drainTimeout
        askAllToStop(kind == .quick ? .interrupt : .terminate, deadline: now + timeout)
        if reload != nil { abortReload("the pool is stopping") }
    }

    mutating func askAllToStop(_ signal: Signal, deadline: MonotonicInstant) {
        for index in slots.indices { actions += slots[index].stop(signal, until: deadline) }
    }
}
