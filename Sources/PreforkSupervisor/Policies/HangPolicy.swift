// Workers that are alive and do nothing.

import PreforkSystem

/// When a ready worker counts as hung.
///
/// Its event loop gives a heartbeat at least every third of `soft`, by one store into shared memory. A worker that
/// gives no heartbeat for `soft` (a handler that blocks or never ends, a deadlock, a SIGSTOP) is reported with a dump
/// of its stack, and killed after `grace` more. No worker is killed because the whole machine, or the supervisor, stood
/// still.
public struct HangPolicy: Equatable, Sendable {
    /// The silence after which a worker is reported as hung.
    public var soft: Duration
    /// The time from that report to SIGKILL.
    public var grace: Duration

    /// - Parameters:
    ///   - soft: above zero. A value below 60 ms counts as 60 ms.
    ///   - grace: from the report to SIGKILL.
    public init(soft: Duration = .seconds(30), grace: Duration = .seconds(2)) {
        self.soft = max(soft, .milliseconds(60))
        self.grace = max(grace, .milliseconds(1))
    }
}

extension Pool {
    /// The longest time for which a worker may announce that it gives no heartbeat.
    static var longestExtension: Duration { .seconds(86_400) }

    mutating func watch(
        _ sample: WorkerSample, _ life: inout WorkerLife, _ policy: HangPolicy, forgives: Bool, _ now: MonotonicInstant,
        _ actions: inout [PoolAction]
    ) {
        // After an upgrade in place: workers of the previous image keep to its policy.
        guard let worker = slots[sample.slot].worker, let period = sample.heartbeatPeriod else { return }
        let soft = max(policy.soft, period * 3)
        let isAlive = life.heartbeat != sample.heartbeat
        if isAlive || forgives {
            if isAlive, life.hungSince != nil {
                actions.append(.report(.recovered(taskID: sample.slot, pid: worker.pid)))
            }
            life.heartbeat = sample.heartbeat
            life.lastSign = now
            life.hungSince = nil
            return
        }
        // The worker's own word, which may say anything: at most a day is believed.
        let extended = min(sample.extendedUntil ?? life.lastSign, life.lastSign + Self.longestExtension)
        let silentSince = max(life.lastSign, extended)
        guard now - silentSince >= soft else { return }
        guard let hungSince = life.hungSince else {
            life.hungSince = now
            actions.append(.report(.hung(taskID: sample.slot, pid: worker.pid, silent: now - life.lastSign)))
            actions.append(.dumpStack(slot: sample.slot, spawn: worker.spawn))
            return
        }
        if now - hungSince >= policy.grace { kill(sample.slot, worker, .hung, &actions) }
    }
}
