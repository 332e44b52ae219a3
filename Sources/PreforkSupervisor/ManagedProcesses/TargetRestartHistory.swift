// A target's score of crashes, and the limit above which it is not restarted.

import PreforkSystem

/// The history of one target as far as its restarts depend on it: the same rules as for a worker's slot.
struct TargetRestartHistory: Equatable {
    enum Verdict: Equatable {
        case restart(in: Duration)
        case giveUp
    }

    private var record = RestartHistory()
    /// Restarts after a crash of a process that had been ready.
    private var counted = 0

    /// Every restart after a crash, for reports.
    var restarts: Int { record.restarts }

    mutating func becameReady() {
        record.workerBecameReady()
    }

    /// Counts a crash.
    mutating func judge(
        wasReady: Bool, uptime: Duration, at now: MonotonicInstant, policy: RestartPolicy,
        using random: inout some RandomNumberGenerator
    ) -> Verdict {
        record.countDeath(wasReady: wasReady, uptime: uptime, at: now, policy: policy)
        if wasReady {
            counted += 1
            if counted > policy.limit || record.exceeds(policy.window, at: now) { return .giveUp }
        } else if record.bootFailures > policy.bootLimit {
            return .giveUp
        }
        return .restart(in: record.nextDelay(policy.backoff, at: now, using: &random))
    }

    init() {}

    /// For the next image of this program: how many restarts count, then the words of the record.
    var words: [Int64] { [Int64(counted)] + record.words }

    /// - Returns: nil for what are no such words.
    init?(words: [Int64]) {
        guard let counted = words.first, (0..<1 << 31).contains(counted),
            let record = RestartHistory(words: Array(words.dropFirst()))
        else { return nil }
        self.counted = Int(counted)
        self.record = record
    }

    /// How long to wait after the kernel refused a fork.
    mutating func delayAfterRefusedFork(using random: inout some RandomNumberGenerator) -> Duration {
        record.nextForkDelay(Backoff(), using: &random)
    }
}
