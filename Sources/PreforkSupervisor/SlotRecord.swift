// What a slot remembers of its workers' deaths, and what follows from it.

import PreforkSystem

/// One slot's history, as far as restarts depend on it.
struct SlotRecord: Equatable {
    /// Restarts after a death of a ready worker, those within the policy's longest period only.
    private var recent: [MonotonicInstant] = []
    private var backoffStep = 0
    private(set) var bootFailures = 0
    /// Crashes in a request within the last second.
    private var requestCrashes: [MonotonicInstant] = []
    private var forkFailures = 0
    /// All restarts of this slot, for reports.
    private(set) var restarts = 0
    /// Of recycling for what a worker says of itself or takes.
    var recyclingPace = RestartPace()

    mutating func workerBecameReady() {
        bootFailures = 0
        forkFailures = 0
    }

    mutating func countDeath(wasReady: Bool, uptime: Duration, at now: MonotonicInstant, policy: RestartPolicy) {
        if wasReady, uptime >= policy.backoff.resetAfter {
            recent = []
            backoffStep = 0
        }
        if !wasReady { bootFailures += 1 }
        let longest = max(policy.window?.period ?? .zero, policy.backoff.immediatePeriod)
        recent.removeAll { now - $0 > longest }
        recent.append(now)
        restarts += 1
    }

    /// Whether the deaths counted so far, the present one included, are more than the policy's window allows.
    func exceeds(_ window: RestartPolicy.Window?, at now: MonotonicInstant) -> Bool {
        guard let window else { return false }
        return recent.count { now - $0 <= window.period } > window.count
    }

    /// How long to wait before the restart that follows the death counted last.
    mutating func nextDelay(
        _ backoff: Backoff, at now: MonotonicInstant, using random: inout some RandomNumberGenerator
    ) -> Duration {
        guard backoff.maximum > .zero else { return .zero }
        // Once a slot waits, it goes on waiting until a worker was stable: a pause longer than the period must not look
        // like a quiet time.
        let isQuick = recent.count(where: { now - $0 <= backoff.immediatePeriod }) > backoff.immediate
        guard isQuick || backoffStep > 0 else { return .zero }
        let ceiling = backoff.ceiling(step: backoffStep)
        backoffStep += 1
        return .nanoseconds(Int64.random(in: 0...ceiling.saturatedNanoseconds, using: &random))
    }

    /// How long to wait after a crash in a request that does not count: not at all for the first three within a second,
    /// then a random time of up to 100 ms, or 10 ms while no other worker serves. A poisoned request that comes in again
    /// and again costs its worker each time, and the machine a bounded number of forks: workers can kill each other, and
    /// the word that says that a connection is open is theirs, so that a process that was taken over could have the
    /// supervisor fork without a pause.
    mutating func nextRequestDelay(
        at now: MonotonicInstant, isAlone: Bool, using random: inout some RandomNumberGenerator
    ) -> Duration {
        restarts += 1
        requestCrashes.removeAll { now - $0 > .seconds(1) }
        if requestCrashes.count < 3 {
            requestCrashes.append(now)
            return .zero
        }
        requestCrashes[0] = now
        requestCrashes.sort()
        return .nanoseconds(Int64.random(in: 0...(isAlone ? 10_000_000 : 100_000_000), using: &random))
    }

    /// How long to wait after the kernel refused a fork: at least half of a growing delay, whatever the policy says,
    /// because trying at once is what keeps a machine short of memory or processes.
    mutating func nextForkDelay(_ backoff: Backoff, using random: inout some RandomNumberGenerator) -> Duration {
        var retry = backoff
        retry.base = .milliseconds(100)
        retry.maximum = max(backoff.maximum, .seconds(1))
        let ceiling = retry.ceiling(step: forkFailures).saturatedNanoseconds
        forkFailures += 1
        return .nanoseconds(Int64.random(in: ceiling / 2...ceiling, using: &random))
    }
}
