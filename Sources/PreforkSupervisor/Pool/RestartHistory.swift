// A slot's record of its workers' deaths, and what follows from it.

import PreforkSystem

/// One slot's history, as far as restarts depend on it.
struct RestartHistory: Equatable {
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
    var recyclingPace = RestartRateLimit()

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
        // Once a slot is backing off, it keeps backing off until a worker has been stable. Otherwise a delay longer
        // than the period would itself look like stability.
        let isQuick = recent.count(where: { now - $0 <= backoff.immediatePeriod }) > backoff.immediate
        guard isQuick || backoffStep > 0 else { return .zero }
        let ceiling = backoff.ceiling(step: backoffStep)
        backoffStep += 1
        return .nanoseconds(Int64.random(in: 0...ceiling.saturatedNanoseconds, using: &random))
    }

    /// How long to wait after a crash in a request that does not count: not at all for the first three within a second,
    /// then a random time of up to 100 ms, or 10 ms while no other worker serves. A poisoned request that comes in again
    /// and again costs its worker each time, and the machine a bounded number of forks: workers can kill each other, and
    /// the words that say that a request is in hand are theirs, so that a process that was taken over could have the
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

extension RestartHistory {
    /// More deaths of one slot within its longest period are not handed over.
    private static let mostRecent = 1_000

    /// For the next image of this program: six numbers, how many deaths follow, and when they and the crashes in a
    /// request were, in monotonic nanoseconds. Empty for a slot that nothing has happened to.
    var words: [Int64] {
        if self == RestartHistory() { return [] }
        let deaths = recent.suffix(Self.mostRecent).map(\.nanoseconds)
        return [Int64(backoffStep), Int64(bootFailures), Int64(forkFailures), Int64(restarts)] + recyclingPace.words
            + [Int64(deaths.count)] + deaths + requestCrashes.map(\.nanoseconds)
    }

    /// - Returns: nil for what are no such numbers.
    init?(words: [Int64]) {
        if words.isEmpty { return }
        guard words.count >= 7, words[..<4].allSatisfy({ (0..<1 << 31).contains($0) }),
            (0...Int64(words.count - 7)).contains(words[6]), words.count - 7 - Int(words[6]) <= 3,
            words[7...].allSatisfy({ $0 >= 0 })
        else { return nil }
        backoffStep = Int(words[0])
        bootFailures = Int(words[1])
        forkFailures = Int(words[2])
        restarts = Int(words[3])
        recyclingPace = RestartRateLimit(words: words[4...5])
        let instants = words[7...].map { MonotonicInstant(nanoseconds: $0) }
        recent = Array(instants.prefix(Int(words[6])))
        requestCrashes = Array(instants.dropFirst(Int(words[6])))
    }
}
