// The supervisor's answer to "how are you".

import PreforkSystem

extension Supervisor {
    package func status() -> PoolStatus {
        let now = MonotonicInstant.now
        let phase: PoolStatus.Phase =
            switch pool.phase {
            case .running: pool.reload == nil ? .running : .reloading
            case .delayingStop: .delayingStop
            case .stopping: .stopping
            case .finished: .finished
            }
        return PoolStatus(
            supervisor: pid, uptime: now - started, phase: phase, generation: pool.generation, target: pool.target,
            spares: pool.spares.parked.count, range: configuration.settings.scaling.workers, restarts: pool.restarts,
            restartLimit: configuration.settings.restarts.limit, requestCrashes: pool.requestCrashes,
            programTarget: pool.scaledTo == nil ? nil : pool.configured,
            program: ProgramStatus(
                running: programs.running, previous: programs.previous, upgradePath: programs.path,
                changes: programs.changes),
            reload: (pool.reload ?? pool.lastReload)?.status(at: now), workers: pool.slots.flatMap { rows(of: $0, now) }
        )
    }

    private func rows(of slot: Slot, _ now: MonotonicInstant) -> [WorkerStatus] {
        var rows: [WorkerStatus] = []
        if let worker = slot.worker {
            rows.append(row(slot, worker, slot.state.kind, isBeside: false, now))
        } else if !slot.isRetired {
            rows.append(
                WorkerStatus(
                    slot: slot.taskID, pid: nil, generation: slot.generation, state: slot.state.kind, isBeside: false,
                    uptime: .zero, restarts: slot.record.restarts, requests: 0, connections: 0,
                    heartbeatAge: nil, lastExit: records.last(of: slot.taskID)))
        }
        if let replacement = slot.replacement, let worker = replacement.worker {
            let state: WorkerStatus.State = replacement.killReason == nil ? .booting : .killed
            rows.append(row(slot, worker, state, isBeside: true, now))
        }
        for leaving in slot.leaving {
            rows.append(row(slot, leaving.worker, leaving.killReason == nil ? .draining : .killed, isBeside: true, now))
        }
        return rows
    }

    private func row(
        _ slot: Slot, _ worker: WorkerProcess, _ state: WorkerStatus.State, isBeside: Bool, _ now: MonotonicInstant
    ) -> WorkerStatus {
        let line = workers[worker.spawn]?.line
        let lastSign = configuration.settings.hangs == nil ? nil : pool.lives[worker.spawn]?.lastSign
        return WorkerStatus(
            slot: slot.taskID, pid: worker.pid, generation: worker.generation, state: state, isBeside: isBeside,
            uptime: now - worker.started, restarts: slot.record.restarts,
            requests: line.map { scoreboard.requests(line: $0) } ?? 0,
            connections: line.map { scoreboard.connections(line: $0) } ?? 0,
            heartbeatAge: lastSign.map { now - $0 },
            blocking: line.map { scoreboard.blockingLoad(line: $0) } ?? ThreadPool.Load(),
            isStalled: loopStalls?.stalled.contains(worker.spawn) == true, lastExit: records.last(of: slot.taskID))
    }
}

extension SlotState {
    /// The state without its values.
    var kind: WorkerStatus.State {
        switch self {
        case .backingOff: .backingOff
        case .booting: .booting
        case .ready: .ready
        case .draining: .draining
        case .killed: .killed
        case .ended: .ended
        case .failed: .failed
        }
    }
}

extension Reload {
    func status(at now: MonotonicInstant) -> PoolStatus.Reload {
        PoolStatus.Reload(
            state: abortReason != nil ? .aborted : probationEnd != nil ? .probation : duration != nil ? .done : .running,
            generation: generation,
            replaced: replaced, total: total, reason: abortReason, duration: duration ?? now - started)
    }
}
