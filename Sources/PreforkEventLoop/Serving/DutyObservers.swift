// Changes of the accept queues that a worker must take.

import PreforkSystem

/// The servers of a loop that observe changes of `AcceptDuties`.
struct DutyObservers {
    fileprivate var bodies: [Int: () -> Void] = [:]
    fileprivate var lastID = 0
    fileprivate var signals: SignalHandlers?
    fileprivate var nextLook: ScheduledCall?
}

extension EventLoop {
    /// A signal that one of the program's threads has taken, because it does not block it, is made up for by then.
    private static let longestDelay = Duration.seconds(1)

    /// Calls `body` on the loop whenever the duties may have changed. On the loop's thread.
    ///
    /// - Returns: names the observer, for `endObservingDuties`.
    func observeDuties(_ body: @escaping () -> Void) -> Int {
        if duties.bodies.isEmpty {
            // Without a descriptor for it the timer is all there is.
            duties.signals = try? SignalHandlers([AcceptDuties.signal], on: self) { [unowned self] _ in tellOfDuties() }
            checkDutiesLater()
        }
        duties.lastID += 1
        duties.bodies[duties.lastID] = body
        return duties.lastID
    }

    func endObservingDuties(_ id: Int) {
        duties.bodies[id] = nil
        guard duties.bodies.isEmpty else { return }
        duties.signals?.end(on: self)
        duties.signals = nil
        duties.nextLook?.cancel()
        duties.nextLook = nil
    }

    private func tellOfDuties() {
        for id in duties.bodies.keys.sorted() { duties.bodies[id]?() }
    }

    private func checkDutiesLater() {
        duties.nextLook = call(after: Self.longestDelay) { [unowned self] in
            checkDutiesLater()
            tellOfDuties()
        }
    }
}
