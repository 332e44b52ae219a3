// Operators' commands to the pool.

import PreforkSystem

extension Pool {
    /// Does what is asked for, or says why not. Commands that are not the pool's (`upgrade`, `reopenLogs`) are refused.
    mutating func perform(_ command: ControlCommand, at now: MonotonicInstant) -> (ControlOutcome, [PoolAction]) {
        change(at: now) { pool in pool.perform(command) }
    }

    private mutating func perform(_ command: ControlCommand) -> ControlOutcome {
        if case .stop(let isQuick) = command {
            stop(isQuick ? .quick : .graceful)
            if let end = stopDelayEnd { return .done("serving for another \((end - now).short), then stopping gracefully") }
            return .done(isQuick ? "stopping quickly" : "stopping gracefully")
        }
        guard phase == .running else { return .failed("the pool is stopping") }
        switch command {
        case .reload:
            let isSecond = reload != nil
            beginReload()
            return .done(
                isSecond ? "another reload will follow the current one" : "reload to generation \(generation) began")
        case .scale(let change):
            return scale(change)
        case .restart(let slot), .kill(let slot), .drain(let slot):
            guard slots.indices.contains(slot), !slots[slot].isRetired else {
                return .failed("there is no worker \(slot)")
            }
            if case .restart = command, slots[slot].state == .ended {
                slots[slot].refill(generation, at: now)
                tick()
                return .done("worker \(slot) had ended and is started again")
            }
            guard let worker = slots[slot].worker else { return .failed("worker \(slot) is not running") }
            return perform(command, on: slot, worker)
        case .stop, .upgrade, .rollback, .restartManaged, .runTask, .reopenLogs, .rebalance, .quarantine,
            .release:
            return .failed("not a command for the pool")
        }
    }

    /// Whether a running pool would make new workers for that order.
    func needsFork(_ command: ControlCommand) -> Bool {
        guard phase == .running else { return false }
        return switch command {
        case .reload, .restart, .drain: true
        case .scale(.to(let count)): count > target
        case .scale(.by(let difference)): difference > 0
        default: false
        }
    }

    private mutating func scale(_ change: ScaleChange) -> ControlOutcome {
        let (count, overflow): (Int, Bool) =
            switch change {
            case .to(let count): (count, false)
            case .by(let difference): target.addingReportingOverflow(difference)
            }
        guard !overflow, (1...settings.largest).contains(count) else {
            return .failed("\(overflow ? "that" : "\(count)") is not within 1...\(settings.largest) workers")
        }
        if let range = settings.scaling.workers, !range.contains(count) {
            return .failed("\(count) is not within \(range), the bounds of automatic scaling")
        }
        let before = target
        scale(to: count, .asked)
        return .done("\(count) workers instead of \(before)")
    }

    private mutating func perform(
        _ command: ControlCommand, on slot: Int, _ worker: WorkerProcess
    ) -> ControlOutcome {
        switch command {
        case .restart:
            guard slots[slot].isReady else { return .failed("worker \(slot) is not ready") }
            guard slots[slot].replacement == nil else { return .failed("worker \(slot) is being replaced already") }
            slots[slot].replace(for: .asked, generation: worker.generation, at: now)
            tick()
            return .done("worker \(slot) (pid \(worker.pid)) is being replaced")
        case .drain:
            if slots[slot].killReason != nil { return .failed("worker \(slot) is being killed") }
            drain(slot)
            slots[slot].refill(at: now)
            if !promoteBootingReplacement(slot) { tick() }
            return .done("worker \(slot) (pid \(worker.pid)) is draining")
        default:
            if slots[slot].killReason != nil { return .failed("worker \(slot) is being killed") }
            actions += slots[slot].kill(.asked)
            return .done("worker \(slot) (pid \(worker.pid)) gets SIGKILL")
        }
    }
}
