// Workers that say that they crash, before their processes have ended.

import PreforkSystem

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
    mutating func crashed(_ index: Int, _ spawn: UInt64, _ sign: CrashSign) {
        guard slots.indices.contains(index) else { return }
        let deadline = now + settings.crashes.timeout
        let end = "its process crashed (\(sign.signal))"
        if let worker = slots[index].worker, worker.spawn == spawn {
            // Killed by the supervisor: its end is on the way.
            if slots[index].killReason != nil { return }
            presentCrashed(index, worker, sign, end, until: deadline)
        } else if case .booting(let worker, _) = slots[index].replacement?.stage, worker.spawn == spawn {
            let ended = EndedWorker(sign: sign, consequence: .none, isCounted: true)
            actions += slots[index].leaves(worker, wasReady: false, ended, until: deadline)
            replacementFailed(index, end)
        } else {
            let reports = slots[index].leaverCrashed(spawn, sign, until: deadline)
            if reports.isEmpty { return }
            actions += reports
            if slots[index].waitsForLeaving, !slots[index].hasOldWorkers { tick() }
        }
        limitBacktracers(index, spawn)
    }

    private mutating func presentCrashed(
        _ index: Int, _ worker: WorkerProcess, _ sign: CrashSign, _ end: String, until deadline: MonotonicInstant
    ) {
        lives[worker.spawn] = nil
        if sign.hadRequest { slots[index].endedInRequest = worker.spawn }
        let wasReady = slots[index].wasReady
        let (consequence, isCounted) = decide(
            index, worker, isSuccess: false, wasReady: wasReady, hadRequest: sign.hadRequest)
        let ended = EndedWorker(sign: sign, consequence: consequence, isCounted: isCounted)
        actions += slots[index].leaves(worker, wasReady: wasReady, ended, until: deadline)
        follow(consequence, index, worker, wasReady: wasReady, hadRequest: sign.hadRequest, end)
    }

    private mutating func limitBacktracers(_ index: Int, _ spawn: UInt64) {
        let traced = slots.reduce(0) { $0 + $1.leaving.count(where: \.isTraced) }
        guard traced > settings.crashes.backtracersAtOnce,
            slots[index].leaving.first(where: { $0.worker.spawn == spawn })?.isTraced == true
        else { return }
        actions += slots[index].killLeaver(spawn, .crashed)
    }
}
