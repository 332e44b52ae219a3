// The workers' running requests, as the supervisor reads them from their rings.

import PreforkSystem

extension Supervisor {
    /// What the process of a line has in hand now. A bounded number of loads.
    func requestsInHand(line: Int) -> RequestsInHand {
        guard let ring = scoreboard.requestRing(line: line) else {
            // What is left to go by: an open connection counts for a request.
            var hand = RequestsInHand()
            hand.count = scoreboard.connections(line: line) > 0 ? 1 : 0
            return hand
        }
        let now = MonotonicInstant.now
        return RequestsInHand(RequestRingReading(ring, at: now, atMost: RequestReport.most), at: now)
    }

    /// What the log line of a hung worker says about its requests.
    func requestLines(of report: PoolReport) -> [LogLine] {
        guard case .hung(let slot, _, _) = report, pool.slots.indices.contains(slot),
            let spawn = pool.slots[slot].worker?.spawn, let line = workers[spawn]?.line
        else { return [] }
        let sentence = requestsInHand(line: line).sentence
        return sentence.isEmpty ? [] : [LogLine(.error, "worker \(slot) has in hand: \(sentence)")]
    }

    /// Asked by an operator.
    package func requests() -> InFlightRequests {
        let now = MonotonicInstant.now
        var list = InFlightRequests(workers: workers.entries.count)
        for (_, entry) in workers.entries {
            guard let ring = scoreboard.requestRing(line: entry.line) else { continue }
            let reading = RequestRingReading(ring, at: now, atMost: list.mostOfWorker)
            list.add(reading, slot: entry.slot, pid: entry.child.pid, at: now)
        }
        list.finish()
        return list
    }
}
