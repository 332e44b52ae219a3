// Managed processes beside workers: they start before the workers, which may need them, and end after them.

import PreforkSystem

extension Supervisor {
    func startTargets() throws(SupervisorError) {
        guard let targets else { return }
        targets.prepareSuccession(isOnProbation: rollback != nil, patience: configuration.settings.bootTimeout)
        do { try targets.startAll() } catch { throw SupervisorError(error) }
        targets.beginSuccession()
    }

    /// The managed processes of the previous image, if this program has no managed processes.
    static func targetsOfImageBefore() throws(SupervisorError) -> TargetRunner? {
        guard !Handover.isTrial, Handover.find(InheritedTargets.handoverKind) != nil else { return nil }
        do { return try TargetRunner(hooks: ProcessHooks(), isBesidePool: true) } catch { throw SupervisorError(error) }
    }

    /// While a rollback is possible, the reload of an upgrade is not over before managed processes are replaced, and a
    /// successor that fails aborts it.
    private func followSuccession() {
        guard let targets, pool.phase == .running else { return }
        guard rollback != nil else { return want(pool.hold(false, at: .now)) }
        guard let reason = targets.successionFailure else { return want(pool.hold(targets.isSucceeding, at: .now)) }
        if pool.reload != nil { return want(pool.abandonReload(reason, at: .now)) }
        goBack()
    }

    func turnTargets() throws(SupervisorError) {
        guard let targets else { return }
        if pool.phase != .running { targets.holdOnceTasks() }
        if haveTargetNews || targets.nextDeadline.map({ $0 <= .now }) == true {
            haveTargetNews = false
            do { try targets.turn(waitingAtMost: .zero) } catch { throw SupervisorError(error) }
        }
        targets.beginRunsInWorkers()
        tellManagedWaits()
        tellOnceWaits()
        if outcome == nil, isLeaving { return }
        followSuccession()
        if outcome != nil {
            if targets.isBusy, !targets.isStoppingAll { targets.stopAll(within: nil) }
        } else if targets.crashed != nil, pool.isServing {
            // The service has failed: it does not go on for `stopDelay`.
            want(pool.change(at: .now) { $0.beginStop(.graceful) }.actions)
        }
    }

    func stopQuickly() {
        // The first time they have as long as the workers, the second time none.
        targets?.stopAll(within: quickStops == 0 ? configuration.settings.quickTimeout : .zero)
        quickStops += 1
        handle(.stop(.quick))
    }
}
