// The pool's own counters, kept where the sums of the program's metrics are.

import PreforkSystem

/// What a supervisor notes of its counters.
struct CounterNote: Equatable {
    /// Without what the lines of workers that live hold: these are there as long as the workers are.
    var own: PoolCounters
    /// As the last page showed them, with the workers of then. If nil, there was no page.
    var shown: PoolCounters?

    /// For the next start of the service, whose workers are other ones: no counter is less than a page has shown.
    var withWorkers: PoolCounters {
        guard let shown else { return own }
        var counters = own
        counters.raise(to: shown)
        return counters
    }
}

extension Supervisor {
    /// What the previous image, or the previous run of the service, has noted last. It is newer than what it has handed
    /// over if it has ended without handing over.
    func takeCounterNote() {
        guard let hub = MetricsHub.current, let note = CounterNote(bytes: hub.note) else { return }
        records.counters = Handover.isLaterImage ? note.own : note.withWorkers
    }

    /// Notes what is counted, if that has changed.
    func noteCounters() {
        guard records.haveCountersChanged else { return }
        records.haveCountersChanged = false
        writeCounterNote(shown: lastShown)
    }

    /// Notes what a page is about to show.
    func noteShown(_ counters: PoolCounters, requests: UInt64) {
        var shown = counters
        shown.retiredRequests = requests
        lastShown = shown
        writeCounterNote(shown: shown)
    }

    private func writeCounterNote(shown: PoolCounters?) {
        guard let hub = MetricsHub.current else { return }
        hub.note = CounterNote(own: countersToLeave, shown: shown).bytes
    }
}
