// The rights of managed processes, beside a worker pool and without one.

import PreforkSystem

extension TargetRunner {
    /// What managed processes give up: beside a worker pool, the rights that its workers give up. In a plain program,
    /// what `privileges` and the variables `PREFORK_USER` and so on say. Looked up once, before the first fork.
    ///
    /// - Throws: `.badSettings`.
    func childRights() throws(ProcessError) -> ChildRights {
        if let host { return host.rights }
        if let ownRights { return ownRights }
        var settings = RuntimeSettings()
        settings.privileges = privileges
        settings.sandbox = sandbox
        do {
            settings = try settings.applyingEnvironment()
            let rights = try ChildRights(settings)
            ownCapture = settings.captureOutput
            ownCrashes = settings.crashes
            ownRights = rights
            if let text = rights.sandbox?.warning { logger.say(LogLine(.warning, text), by: .own(.start)) }
            return rights
        } catch {
            throw ProcessError(.badSettings("\(error)"))
        }
    }

    /// Once for each target: nothing protects the supervisor from it.
    func warnOfRights(of number: Int) {
        guard let target = table.targets[number], target.settings.privileges == .supervisor,
            Credentials.users.effective == 0, hasWarnedOfRights.insert(number).inserted
        else { return }
        logger.say(
            LogLine(.warning, "\(target.name) keeps the supervisor's rights, which are root's"), by: .own(.start))
    }
}

extension TargetRunner: DescriptorHolder {
    var heldDescriptors: [HeldDescriptor] {
        var held = [
            HeldDescriptor(.epoll, epoll.descriptor.number),
            HeldDescriptor(.controlLine, inbox.button.descriptor.number),
            HeldDescriptor(.lifeline, lifeline.number), HeldDescriptor(.lifelineHold, lifelineHold.number),
            HeldDescriptor(.workerLines, scoreboard.file.descriptor.number),
        ]
        held.append(HeldDescriptor(.supervisorWords, scoreboard.orders.descriptor))
        held += bells.numbers.map { HeldDescriptor(.otherDoorbell, $0) }
        if let clockNotice { held.append(HeldDescriptor(.clockNotice, clockNotice.number)) }
        if let signals { held.append(HeldDescriptor(.signals, signals.number)) }
        held += elders.values.compactMap(\.bell).map { HeldDescriptor(.otherDoorbell, $0) }
        held += elders.values.compactMap(\.output?.number).map { HeldDescriptor(.capturedOutput, $0) }
        let watched = Array(children.values) + crashedChildren.values.map(\.child) + elders.values.map(\.child)
        held += watched.compactMap(\.pidfdNumber).map { HeldDescriptor(.pidfd, $0) }
        return held
    }
}
