// Requests that take longer than an operator wants, told once each.

import PreforkSystem

/// Remembers which requests were told: at most as many as a worker's ring has slots.
struct SlowRequests {
    private var told: [UInt64: Set<UInt64>] = [:]

    /// Those that are slow and were not told of yet, in the order of the reading.
    mutating func news(
        of spawn: UInt64, in reading: RequestRingReading, limit: Duration, at now: MonotonicInstant
    ) -> [RequestRecord] {
        let slow = reading.records.filter { $0.label != nil && now - $0.start >= limit }
        let before = told[spawn] ?? []
        // What has ended is forgotten.
        told[spawn] = slow.isEmpty ? nil : Set(slow.map(\.sequence))
        return slow.filter { !before.contains($0.sequence) }
    }

    /// Forgets workers that have ended.
    mutating func keepOnly(_ spawns: some Sequence<UInt64>) {
        guard !told.isEmpty else { return }
        let living = Set(spawns)
        told = told.filter { living.contains($0.key) }
    }
}

extension Supervisor {
    /// Checks the requests of all workers, if an operator has asked for it.
    func tellSlowRequests() {
        guard let limit = configuration.settings.slowRequest else { return }
        let now = MonotonicInstant.now
        slowRequests.keepOnly(workers.entries.keys)
        for (spawn, entry) in workers.entries {
            guard let ring = scoreboard.requestRing(line: entry.line) else { continue }
            let news = slowRequests.news(of: spawn, in: RequestRingReading(ring, at: now), limit: limit, at: now)
            records.counters.slowRequests &+= UInt64(news.count)
            for record in news {
                let text = "worker \(entry.slot) (pid \(entry.child.pid)) has a slow request: "
                let line = LogLine(.warning, text + RequestReport(record, at: now).sentence)
                logger.say(line, by: .worker(entry.slot, .slowRequest))
            }
            // Where it hangs: only the thread that executes can say it, once a second.
            if news.contains(where: \.isExecuting) { dumpStack(of: spawn) }
        }
    }
}
