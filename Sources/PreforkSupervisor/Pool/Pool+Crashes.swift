// Workers that say that they crash, before their processes have ended.

import PreforkSystem

/// What happens to workers between their crash and their end.
public struct CrashPolicy: Hashable, Sendable {
    /// How long a backtracer, or the kernel with a core file, may take before the process is killed. Its successor has
    /// long been forked by then.
    public var timeout: Duration
    /// How many crashed workers at once may have a backtracer. One more is killed at its crash. Each backtracer takes
    /// memory and a processor, which serving workers need.
    public var backtracersAtOnce: Int

    /// - Parameters:
    ///   - timeout: above zero.
    ///   - backtracersAtOnce: 0 for none.
    public init(timeout: Duration = .seconds(10), backtracersAtOnce: Int = 2) {
        self.timeout = timeout
        self.backtracersAtOnce = backtracersAtOnce
    }
}

/// What a worker's crash was known to be before it had ended.
struct CrashSign: Equatable {
    var signal: Signal
    var hadRequest: Bool
    /// The process may take its time to end.
    var hasBacktracer: Bool
}

/// What has followed from a worker's crash already, when its process ends.
struct EndedWorker: Equatable {
    var sign: CrashSign
    var consequence: ExitConsequence
    var isCounted: Bool
}

extension Pool {
    /// The worker's place is free from here on, as if it had ended. What is left of its process leaves, and is reported
    /// at its end.
    mutating func crashed(
        _ index: Int, _ spawn: UInt64, _ sign: CrashSign, _ now: MonotonicInstant, _ actions: inout [PoolAction]
    ) {
        guard slots.indices.contains(index) else { return }
        let deadline = now + settings.crashes.timeout
        if let worker = slots[index].worker, worker.spawn == spawn {
            // Killed by the supervisor: its end is on the way.
            if case .killed = slots[index].state { return }
            lives[spawn] = nil
            if sign.hadRequest { slots[index].endedInRequest = spawn }
            let wasReady = slots[index].wasReady
            let (consequence, isCounted) = decide(
                index, worker, isSuccess: false, wasReady: wasReady, hadRequest: sign.hadRequest, now)
            var leaving = LeavingWorker(worker: worker, deadline: deadline, wasReady: wasReady)
            leaving.ended = EndedWorker(sign: sign, consequence: consequence, isCounted: isCounted)
            slots[index].leaving.append(leaving)
            actions.append(.report(.crashed(taskID: index, pid: worker.pid, sign)))
            follow(
                consequence, index, worker, wasReady: wasReady, hadRequest: sign.hadRequest,
                "its process crashed (\(sign.signal))", now, &actions)
        } else if let replacement = slots[index].replacement, case .booting(let worker, _) = replacement.stage,
            worker.spawn == spawn
        {
            var leaving = LeavingWorker(worker: worker, deadline: deadline, wasReady: false)
            leaving.ended = EndedWorker(sign: sign, consequence: .none, isCounted: true)
            slots[index].leaving.append(leaving)
            actions.append(.report(.crashed(taskID: index, pid: worker.pid, sign)))
            replacementFailed(index, "its process crashed (\(sign.signal))", now, &actions)
        } else if let position = slots[index].leaving.firstIndex(where: { $0.worker.spawn == spawn }) {
            guard slots[index].leaving[position].ended == nil else { return }
            let worker = slots[index].leaving[position].worker
            slots[index].leaving[position].ended = EndedWorker(sign: sign, consequence: .none, isCounted: true)
            slots[index].leaving[position].deadline = min(slots[index].leaving[position].deadline, deadline)
            actions.append(.report(.crashed(taskID: index, pid: worker.pid, sign)))
            if slots[index].waitsForLeaving, !slots[index].hasOldWorkers { tick(now, &actions) }
        }
        limitBacktracers(index, spawn, &actions)
    }

    private mutating func limitBacktracers(_ index: Int, _ spawn: UInt64, _ actions: inout [PoolAction]) {
        let traced = slots.reduce(0) { count, slot in
            count + slot.leaving.count { $0.ended?.sign.hasBacktracer == true && $0.killReason == nil }
        }
        guard traced > settings.crashes.backtracersAtOnce,
            let position = slots[index].leaving.firstIndex(where: { $0.worker.spawn == spawn }),
            slots[index].leaving[position].ended?.sign.hasBacktracer == true,
            slots[index].leaving[position].killReason == nil
        else { return }
        killLeaving(index, position, .crashed, &actions)
    }
}
