// Managed processes beside workers: they start before the workers, which may need them, and end after them.

import PreforkSystem

extension Supervisor {
    func startTargets() throws(SupervisorError) {
        do { try targets?.startAll() } catch { throw SupervisorError(error) }
    }

    func turnTargets() throws(SupervisorError) -> WorkerSeat? {
        guard let targets else { return nil }
        if haveTargetNews || targets.nextDeadline.map({ $0 <= .now }) == true {
            haveTargetNews = false
            do { try targets.turn(waitingAtMost: .zero) } catch { throw SupervisorError(error) }
        }
        tellManagedWaits()
        if outcome == nil, isLeaving { return nil }
        if outcome != nil {
            if targets.isBusy, !targets.isStoppingAll { targets.stopAll(within: nil) }
        } else if targets.crashed != nil, pool.phase == .running {
            return handle(.stop(.graceful))
        }
        return nil
    }

    func stopQuickly() -> WorkerSeat? {
        // The first time they have as long as the workers, the second time none.
        targets?.stopAll(within: quickStops == 0 ? configuration.settings.quickTimeout : .zero)
        quickStops += 1
        return handle(.stop(.quick))
    }
}
