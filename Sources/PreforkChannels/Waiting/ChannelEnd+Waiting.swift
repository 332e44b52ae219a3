// Waiting at an end: tasks and threads of this process.

import PreforkEventLoop
import PreforkStore
import PreforkSystem
import Synchronization

extension ChannelEnd {
    /// - Throws: `.stopping` when the caller must not take new work any more.
    func checkStop() throws(ChannelError) {
        if EventLoop.isStoppingHere { throw error(.stopping) }
    }

    /// Suspends the calling task until something has happened that is worth another look.
    ///
    /// - Parameters:
    ///   - epoch: `waiters.epoch` from before the caller looked.
    ///   - mustWait: sets the flag that makes the other end ring, and checks again.
    /// - Throws: `CancellationError`. `.timedOut`. `.system` if the loop cannot watch the bell or the other process.
    func wait(
        _ purpose: ChannelWaiters.Purpose, since epoch: UInt64, until deadline: MonotonicInstant?,
        mustWait: () -> Bool
    ) async throws {
        let (loop, bellWatch) = try listen()
        let ticket = waiters.newTicket()
        let timer = deadline.map { DeadlineTimer(waiters, ticket, at: $0, on: loop) }
        let reason = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                guard waiters.add(.task(continuation), purpose, ticket: ticket, since: epoch) else {
                    return continuation.resume(returning: .woken)
                }
                // In this order: a cancellation or a deadline that came before the entry found no waiter to wake.
                if Task.isCancelled { waiters.end(ticket, .cancelled) }
                if !mustWaitForOthers(purpose), !mustWait() { waiters.end(ticket, .woken) }
                timer?.start()
                bellWatch.keepRechecking()
            }
        } onCancel: {
            waiters.end(ticket, .cancelled)
        }
        timer?.cancel()
        switch reason {
        case .woken: return
        case .cancelled: throw CancellationError()
        case .timedOut: throw error(.timedOut)
        }
    }

    /// Blocks the calling thread, as `wait` suspends a task. One thread, the leader, listens to the bell. The others
    /// wait for the leader.
    func waitBlocking(
        _ purpose: ChannelWaiters.Purpose, since epoch: UInt64, until deadline: MonotonicInstant?,
        mustWait: () -> Bool
    ) throws(ChannelError) {
        if let deadline, deadline <= .now { throw error(.timedOut) }
        // As `LoopBellWatch` does for tasks. A late stop changes the epoch, so that a receiver checks again.
        let stop =
            purpose == .receive
            ? StopObservation { [waiters] in waiters.wakeAll() } : nil
        defer { withExtendedLifetime(stop) {} }
        do throws(SystemError) {
            let isInTime =
                waiters.becomeLeader(since: epoch)
                ? try lead(purpose, since: epoch, until: deadline, mustWait)
                : try follow(purpose, since: epoch, until: deadline, mustWait)
            if !isInTime { throw SystemError("poll", .timedOut) }
        } catch {
            throw ChannelError(error.errno == .timedOut ? .timedOut : .system(error), channel: memory.name)
        }
    }

    /// Besides the bell, a leader hears wakings within this process, as a follower does: a sender that makes room for
    /// the next one rings no bell. It checks again after `Bell.longestSleep` without a ring.
    private func lead(
        _ purpose: ChannelWaiters.Purpose, since epoch: UInt64, until deadline: MonotonicInstant?,
        _ mustWait: () -> Bool
    ) throws(SystemError) -> Bool {
        defer { waiters.stopLeading() }
        let parking = try waiters.leaderParking()
        let ticket = waiters.newTicket()
        guard waiters.add(.thread(parking), purpose, ticket: ticket, since: epoch) else { return true }
        defer { waiters.forget(ticket) }
        let waitsForOthers = mustWaitForOthers(purpose)
        guard waitsForOthers || mustWait() else { return true }
        let peer = try peerToWatch()
        if purpose == .receive, !waitsForOthers, let isInTime = sleepOnRing(since: epoch, until: deadline, peer?.pidfd) {
            return isInTime
        }
        let looksOften = isClaiming || purpose != .receive && mayWaitInVain
        let nextLook = MonotonicInstant.now + (looksOften ? LoopBellWatch.claimPause : Bell.longestSleep)
        let hasNews = try Polling.waitUntilReadable(
            [memory.bell(of: side), parking.bell.descriptor.number, peer?.pidfd.descriptor.number ?? -1],
            until: min(deadline ?? nextLook, nextLook))
        waiters.forget(ticket)
        // Reading takes the ring from the loops of this process, so that they are woken.
        memory.clearBell(of: side)
        // Of a closed end the news may have been for a successor in another process.
        if isAnothers { memory.ringBell(of: side) }
        bellRang()
        for bellWatch in wiring.withLock({ $0.bellWatches }) { bellWatch.tellObservers() }
        if let peer, let died = try? Polling.waitUntilReadable([peer.pidfd.descriptor.number], until: .now), died {
            peerEnded(peer.generation)
        }
        return hasNews || deadline.map { $0 > .now } ?? true
    }

    private func follow(
        _ purpose: ChannelWaiters.Purpose, since epoch: UInt64, until deadline: MonotonicInstant?,
        _ mustWait: () -> Bool
    ) throws(SystemError) -> Bool {
        let parking = try ThreadParking()
        let ticket = waiters.newTicket()
        guard waiters.add(.thread(parking), purpose, ticket: ticket, since: epoch) else { return true }
        defer { waiters.end(ticket, .woken) }
        guard mustWaitForOthers(purpose) || mustWait() else { return true }
        return try Polling.waitUntilReadable([parking.bell.descriptor.number], until: deadline)
    }

    /// The other end's process, if it is one that can be watched from here.
    private func peerToWatch() throws(SystemError) -> (generation: UInt64, pidfd: ThreadPidfd)? {
        let record = memory.record(of: side.other)
        let known = wiring.withLock { wiring -> (ours: Int32, ThreadPidfd?) in
            (wiring.identity.pid, wiring.pidfd?.generation == record.generation ? wiring.pidfd?.descriptor : nil)
        }
        guard let owner = record.owner, !record.isClosed, owner.pid != known.ours else { return nil }
        if deadGeneration.load(ordering: .acquiring) >= record.generation { return nil }
        if let pidfd = known.1 { return (record.generation, pidfd) }
        guard let opened = try owner.openPidfd() else {
            peerEnded(record.generation)
            return nil
        }
        let pidfd = ThreadPidfd(opened)
        wiring.withLock { $0.pidfd = (record.generation, pidfd) }
        return (record.generation, pidfd)
    }
}

/// Ends a wait when its time has come.
final class DeadlineTimer: @unchecked Sendable {
    // Sendable: `call` is touched on the loop's thread only.
    private let waiters: ChannelWaiters
    private let ticket: UInt64
    private let deadline: MonotonicInstant
    private let loop: EventLoop
    private var call: ScheduledCall?
    private var isOver = false

    init(_ waiters: ChannelWaiters, _ ticket: UInt64, at deadline: MonotonicInstant, on loop: EventLoop) {
        self.waiters = waiters
        self.ticket = ticket
        self.deadline = deadline
        self.loop = loop
    }

    func start() {
        loop.execute {
            if self.isOver { return }
            self.call = self.loop.call(after: self.deadline - .now) { [waiters = self.waiters, ticket = self.ticket] in
                waiters.end(ticket, .timedOut)
            }
        }
    }

    func cancel() {
        loop.execute {
            self.isOver = true
            self.call?.cancel()
            self.call = nil
        }
    }
}
