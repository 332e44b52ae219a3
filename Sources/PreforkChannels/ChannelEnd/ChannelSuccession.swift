// An end of a channel goes from one process of a slot to the next.

package import PreforkEventLoop
import PreforkStore
import PreforkSystem
import Synchronization

// A worker's successor, or a managed process's, comes to an end while its predecessor is there. It *claims* the end: it
// writes its spawn, process ID and start time into the end's words. The owner stops taking messages when it was asked
// to leave, finishes what it has in hand, and *hands over*: it makes the claimant the owner, as the next generation. So
// there is one producer and one consumer for each lane at every moment, and no moment without an owner. A process that
// has handed over may claim the end back to send: an older claimant is let in whenever nothing is in hand.
//
// The words are memory that every process of the service can write. A wrong claim costs the end, as any other wrong
// word does, and nothing else. A claimant checks every ten milliseconds, even without a ring.

extension ChannelMemory {
    /// The spawn of the process that waits for an end, or 0.
    @inline(__always)
    func claimant(of side: EndSide) -> UInt64 { slotWord(2, of: side).pointee.load(ordering: .acquiring) }

    /// Writes a claim, unless an older process of the slot has one. Runs under the lock.
    ///
    /// - Returns: whether it was not there before.
    func claim(_ side: EndSide, _ process: ProcessIdentity, _ slot: EndSlot?) -> Bool {
        guard let slot, slot.spawn > 0 else { return false }
        let known = claimant(of: side)
        if known == slot.spawn { return false }
        if known != 0, known < slot.spawn, claimingProcess(of: side)?.isAlive == true { return false }
        slotWord(3, of: side).pointee.store(UInt64(process.pid), ordering: .releasing)
        slotWord(4, of: side).pointee.store(process.startTime, ordering: .releasing)
        slotWord(2, of: side).pointee.store(slot.spawn, ordering: .sequentiallyConsistent)
        return true
    }

    func withdrawClaim(_ side: EndSide, spawn: UInt64) {
        _ = slotWord(2, of: side).pointee.compareExchange(
            expected: spawn, desired: 0, ordering: .sequentiallyConsistent)
    }

    /// Withdraws the claim of a process that must not get the end any more.
    ///
    /// - Returns: the generation, if the end was handed over to it before.
    func giveUpClaim(_ side: EndSide, of process: ProcessIdentity, _ slot: EndSlot) -> UInt64? {
        // The owner that hands over holds the lock until the claimant is the owner.
        do throws(ChannelError) { try lockHeader() } catch {
            withdrawClaim(side, spawn: slot.spawn)
            return nil
        }
        defer { lock.unlock() }
        withdrawClaim(side, spawn: slot.spawn)
        let record = record(of: side)
        return record.owner == process && record.slot == slot ? record.generation : nil
    }

    /// Whether a living process waits for an end whose owner is dead. It gets the end at its next check.
    func hasLivingClaimant(of side: EndSide) -> Bool {
        claimant(of: side) != 0 && claimingProcess(of: side)?.isAlive == true
    }

    private func claimingProcess(of side: EndSide) -> ProcessIdentity? {
        let pid = Int32(truncatingIfNeeded: slotWord(3, of: side).pointee.load(ordering: .acquiring))
        return pid > 0
            ? ProcessIdentity(pid: pid, startTime: slotWord(4, of: side).pointee.load(ordering: .acquiring)) : nil
    }

    /// Makes the claimant the owner.
    ///
    /// - Returns: false if the claimant is gone, or the header's lock could not be taken. The end then stays.
    func handOver(_ side: EndSide, generation: UInt64, _ slot: EndSlot) -> Bool {
        do throws(ChannelError) { try lockHeader() } catch { return false }
        defer { lock.unlock() }
        let spawn = claimant(of: side)
        guard self.generation(of: side) == generation, spawn != 0 else { return false }
        slotWord(2, of: side).pointee.store(0, ordering: .releasing)
        guard let heir = claimingProcess(of: side), heir.isAlive else { return false }
        noteSuccession(side, generation)
        // The owner takes nothing any more.
        let firstCall = ring(.messages, from: side.other).takenPosition
        give(
            side, to: heir, EndSlot(identity: slot.identity, spawn: spawn), generation: generation &+ 1,
            firstCall: firstCall)
        return true
    }

    /// Leaves the end without an owner, for a successor that has not come yet.
    func vacate(_ side: EndSide, generation: UInt64) {
        do throws(ChannelError) { try lockHeader() } catch { return }
        defer { lock.unlock() }
        guard self.generation(of: side) == generation else { return }
        noteSuccession(side, generation)
        word(0, of: side).pointee.store(0, ordering: .releasing)
    }

    /// Before the owner changes: that a process is gone which was succeeded is no death.
    private func noteSuccession(_ side: EndSide, _ generation: UInt64) {
        let bit = ClosedGenerations.bit(of: generation)
        word(4, of: side).pointee.bitwiseOr(bit, ordering: .acquiringAndReleasing)
        slotWord(5, of: side).pointee.bitwiseOr(bit, ordering: .sequentiallyConsistent)
    }

    func succeededGenerations(of side: EndSide) -> ClosedGenerations {
        let bits = slotWord(5, of: side).pointee.load(ordering: .acquiring)
        return ClosedGenerations(bits: bits, newest: generation(of: side))
    }
}

extension ClosedGenerations {
    /// Whether all from `first` up to the one before `last` are in it.
    func containsAll(from first: UInt64, before last: UInt64) -> Bool {
        guard first <= last, last &- first < 64 else { return false }
        return (first..<last).allSatisfy(contains)
    }
}

extension ChannelEnd {
    /// Whether this process waits here for its predecessor.
    var isClaiming: Bool { claims.load(ordering: .sequentiallyConsistent) == ForkCount.current }

    /// Whether another process of the slot waits for the end, and this one must hand it over.
    ///
    /// One load if no process waits.
    @inline(__always)
    var isToBeLeft: Bool {
        let claimant = memory.claimant(of: side)
        return claimant != 0 && isToBeLeft(to: claimant)
    }

    private func isToBeLeft(to claimant: UInt64) -> Bool {
        guard let slot = ProcessSlot.current else { return false }
        return claimant < slot.spawn || claimant > slot.spawn && slot.order != .stay
    }

    /// Whether a wait must continue whatever the rings hold, because they belong to another process.
    func mustWaitForOthers(_ purpose: ChannelWaiters.Purpose) -> Bool {
        if isClaiming { return !comeIfHandedOver() }
        guard purpose == .receive, isToBeLeft, !leaveIfIdle() else { return false }
        // Not if the claimant has turned out to be dead.
        return isToBeLeft
    }

    /// Looks whether the predecessor has handed the end over or died.
    ///
    /// - Returns: false while this process must wait.
    private func comeIfHandedOver() -> Bool {
        do throws(ChannelError) {
            return try attach(for: .send)
        } catch {
            // Waiters find it themselves at their next check.
            claims.store(0, ordering: .sequentiallyConsistent)
            waiters.wakeAll(andCalls: true)
            return true
        }
    }

    /// Comes or leaves, if the time for it has come. Runs whenever something has happened at this end.
    func settleSuccession() {
        if isClaiming { _ = comeIfHandedOver() }
        if isToBeLeft { leaveIfIdle() }
    }

    /// Hands the end over, unless something is in hand.
    @discardableResult
    private func leaveIfIdle() -> Bool {
        let hasLeft = wiring.withLock { wiring -> Bool in
            guard wiring.isOfThisProcess, wiring.isHere, !wiring.isClosed, let slot = EndSlot.current, isToBeLeft
            else { return false }
            let claimant = memory.claimant(of: side)
            guard pauseIfIdle() else { return false }
            guard memory.handOver(side, generation: wiring.generation, slot) else {
                resume()
                return false
            }
            wiring.isHere = false
            wiring.hasLeft = wiring.hasLeft || claimant > slot.spawn
            return true
        }
        guard hasLeft else { return false }
        memory.ringBell(of: side)
        memory.ringBell(of: side.other)
        waiters.wakeAll(andCalls: true)
        return true
    }

    /// From here until `resume` nothing goes in or out: every operation must attach first, and attaching waits for
    /// `wiring`.
    ///
    /// - Returns: false when something is in hand, and all is as before. Called under `wiring`.
    private func pauseIfIdle() -> Bool {
        let peer = memory.generation(of: side.other)
        let isIdle =
            receiving.withLock { $0.pauseIfIdle(peer: peer) } && calls.withLock { $0.pauseIfIdle() }
            && messages.state.withLock { $0.pauseIfIdle() } && replies.state.withLock { $0.pauseIfIdle() }
        if !isIdle { resume() }
        return isIdle
    }

    private func resume() {
        receiving.withLock { $0.process = ForkCount.current }
        calls.withLock { $0.process = ForkCount.current }
        messages.state.withLock { $0.process = ForkCount.current }
        replies.state.withLock { $0.process = ForkCount.current }
    }

    /// A message that was taken for a callback, or to be refused, is done with.
    func finished() {
        receiving.withLock { $0.inHand -= 1 }
        if isToBeLeft { leaveIfIdle() }
    }

    /// A call that the program has taken is answered.
    func answered(_ call: ReceivingState.TakenCall) {
        receiving.withLock { _ = $0.takenCalls.remove(call) }
        if isToBeLeft { leaveIfIdle() }
    }

    /// - Returns: the generation, if this process has the end already, because a predecessor was faster.
    func withdrawClaim(of process: ProcessIdentity) -> UInt64? {
        claims.store(0, ordering: .sequentiallyConsistent)
        guard let slot = EndSlot.current else { return nil }
        return memory.giveUpClaim(side, of: process, slot)
    }

    /// This process ends, and no successor was announced: it takes no more calls, and callers learn of it.
    func announceStop() {
        let generation = wiring.withLock { wiring -> UInt64? in
            guard wiring.isOfThisProcess, wiring.isHere, !wiring.isClosed, !memory.isStopping(side) else { return nil }
            // Under the lock that guards taking calls: no call is taken after it.
            receiving.withLock { _ in memory.noteStop(side, generation: wiring.generation) }
            return wiring.generation
        }
        if generation != nil { memory.ringBell(of: side.other) }
    }

    /// Another image of the program continues in this process, and finds what was sent and not taken.
    fileprivate func leaveToNextImage() {
        let hasLeft = wiring.withLock { wiring -> Bool in
            guard wiring.isOfThisProcess, wiring.isHere, !wiring.isClosed, pauseIfIdle() else { return false }
            memory.vacate(side, generation: wiring.generation)
            // If that image does not come, this one attaches anew.
            wiring.isHere = false
            return true
        }
        if hasLeft { memory.ringBell(of: side.other) }
    }

    /// No message is taken any more. Taken messages are handled, and sent messages go out.
    fileprivate func stopReceiving() {
        let isHere = wiring.withLock { wiring -> Bool in
            guard wiring.isOfThisProcess, wiring.isHere, !wiring.isClosed else { return false }
            wiring.hasLeft = true
            return true
        }
        guard isHere else { return }
        receiving.withLock { $0.hasLeft = true }
        waiters.wakeAll()
    }

    /// Whether callbacks have messages that they have not handled.
    fileprivate var hasMessagesInHand: Bool {
        receiving.withLock { $0.isOfThisProcess && $0.inHand > 0 }
    }

    /// The process ends in order.
    fileprivate func processEnds(_ order: ProcessSlot.Order) {
        settleSuccession()
        let generation = wiring.withLock { wiring -> UInt64? in
            guard wiring.isOfThisProcess, !wiring.isClosed else { return nil }
            if wiring.isHere { return wiring.generation }
            // A predecessor that still has the end must not hand it over to a process that does nothing any more.
            return isClaiming ? withdrawClaim(of: wiring.identity) : nil
        }
        guard let generation else { return }
        switch order {
        case .giveUp: close()
        // At the end of the service, too, nothing was lost that this process had taken, so that its death is not
        // reported.
        case .makeRoom, .succeeded, .end:
            let isIdle = wiring.withLock { _ in pauseIfIdle() }
            // What it has in hand is lost with it, and callers that wait for answers must learn of that.
            if isIdle { memory.vacate(side, generation: generation) }
            memory.ringBell(of: side.other)
        case .stay, .leave: break
        }
    }
}

/// What a process that fills a slot does about its ends when it is asked to leave.
package enum ChannelSuccession {
    /// Looked up where a process attaches to an end.
    static let leavesToNextImage: Void = DrivenLoops.onLeaving { for end in ends { end.leaveToNextImage() } }

    private static var ends: [ChannelEnd] {
        // Those that came from elsewhere have no name here, and those for children alone no file.
        let travelling = SharedHandles.channels
        let known = Set(travelling.map(ObjectIdentifier.init))
        let cores = travelling + ChannelRegistry.cores.filter { !known.contains(ObjectIdentifier($0)) }
        return cores.flatMap { [$0.creator, $0.peer] }
    }

    /// Checks every ten milliseconds whether an end must be handed over, for as long as the loop turns: if no task
    /// waits at an end, nothing else in this process checks. On the loop's thread only.
    package static func processLeaves(on loop: EventLoop) {
        guard let order = ProcessSlot.current?.order else { return }
        let ends = ends
        if ends.isEmpty { return }
        for end in ends {
            end.settleSuccession()
            // Again each time: a worker that makes room can be overtaken by the end of the service.
            if order != .makeRoom, order != .succeeded, order != .stay { end.announceStop() }
        }
        loop.call(after: LoopBellWatch.claimPause) { [weak loop] in
            if let loop { processLeaves(on: loop) }
        }
    }

    /// The body of a process that was asked to leave has returned: waits until callbacks have handled the messages that
    /// were taken for them. No further ones are taken.
    ///
    /// Returns early when its task is cancelled, which is shortly before the process is killed.
    package static func finishCallbacks() async {
        guard let order = ProcessSlot.current?.order, order != .stay else { return }
        for end in ends { end.stopReceiving() }
        while ends.contains(where: \.hasMessagesInHand) {
            do { try await EventLoop.sleep(for: LoopBellWatch.claimPause) } catch { return }
        }
    }

    /// The process has done its work and ends now: prepares what its successor finds, and gives up the rest.
    package static func processEnds() {
        guard let order = ProcessSlot.current?.order, order != .stay else { return }
        for end in ends { end.processEnds(order) }
    }
}
