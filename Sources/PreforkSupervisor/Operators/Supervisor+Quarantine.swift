// Refusing requests that crash workers.

package import PreforkSystem

/// An entry of the quarantine, as operators see it.
package struct QuarantineStatus: Equatable, Sendable {
    package var label: ForeignText
    /// If nil, until an operator removes it.
    package var remaining: Duration?
    package var crashes: Int
}

extension Supervisor {
    /// A worker has crashed with these requests in hand. Called before its successor is forked.
    func noteCrash(_ hand: RequestsInHand, slot: Int) {
        let labels = hand.requests.filter(\.isExecuting).compactMap(\.text)
        let verdict = quarantine.crashed(labels, at: .now)
        publishQuarantine()
        records.counters.quarantinedLabels &+= UInt64(verdict.added.count)
        for label in verdict.added {
            let text = "requests \"\(label.escaped(for: .log))\" have crashed workers too often: refused from now on"
            logger.say(LogLine(.error, text), by: .worker(slot, .quarantine))
        }
        if verdict.isFull {
            let text = "requests of another label have crashed workers too often, but the quarantine is full"
            logger.say(LogLine(.error, text), by: .worker(slot, .quarantine))
        }
    }

    /// Labels whose time is over are served again.
    func turnQuarantine() {
        guard let deadline = quarantine.nextDeadline, deadline <= .now else { return }
        for label in quarantine.expire(at: .now) {
            let text = "requests \"\(label.escaped(for: .log))\" are served again"
            logger.say(LogLine(.info, text), by: .pool(.quarantine))
        }
        publishQuarantine()
    }

    private func publishQuarantine() {
        scoreboard.orders.quarantineForWriting.set(
            quarantine.entries.map { QuarantineList.Entry(label: Array($0.label.unescaped.utf8), until: $0.until) })
    }

    package func quarantined() -> [QuarantineStatus] {
        let now = MonotonicInstant.now
        return quarantine.entries.map { entry in
            QuarantineStatus(
                label: entry.label, remaining: entry.until.map { max(.zero, $0 - now) }, crashes: entry.crashes)
        }
    }

    /// What an operator wants.
    func quarantine(_ label: String) -> ControlOutcome {
        let label = ForeignText(label)
        guard quarantine.add(label) else { return .failed("the quarantine is full") }
        publishQuarantine()
        let text = "requests \"\(label.escaped(for: .log, atMost: RequestRingLayout.labelLimit))\" are refused"
        logger.say(LogLine(.info, text + ": requested"), by: .own(.order))
        return .done(text)
    }

    func release(_ label: String) -> ControlOutcome {
        let label = ForeignText(label)
        let shown = label.escaped(for: .log, atMost: RequestRingLayout.labelLimit)
        guard quarantine.remove(label) else { return .failed("requests \"\(shown)\" are not in quarantine") }
        publishQuarantine()
        logger.say(LogLine(.info, "requests \"\(shown)\" are served again: requested"), by: .own(.order))
        return .done("requests \"\(shown)\" are served again")
    }
}
