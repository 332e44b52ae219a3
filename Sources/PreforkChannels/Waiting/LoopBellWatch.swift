// One loop of this process that listens at an end: to its bell, and for the death of the other end's process.

import PreforkEventLoop
import PreforkSystem
import Synchronization

extension ChannelEnd {
    /// Sees to it that the caller's loop hears the bell and the other end's death.
    ///
    /// - Returns: the current loop, or off all loops the shared one, and its watch.
    /// - Throws: `.system`, for example without a descriptor left.
    @discardableResult
    func listen() throws(ChannelError) -> (loop: EventLoop, bellWatch: LoopBellWatch) {
        let loop: EventLoop
        do throws(SystemError) {
            loop = try EventLoop.chosen()
        } catch {
            throw ChannelError(.system(error), channel: memory.name)
        }
        let bellWatch = wiring.withLock { wiring -> LoopBellWatch in
            wiring.adopt()
            if let bellWatch = wiring.bellWatches.first(where: { $0.loopNumber == loop.number }) { return bellWatch }
            // Loops that are gone have taken their watches with them.
            wiring.bellWatches.removeAll { $0.loop == nil }
            let bellWatch = LoopBellWatch(self, on: loop)
            wiring.bellWatches.append(bellWatch)
            return bellWatch
        }
        if let failure = bellWatch.takeFailure() { throw failure }
        bellWatch.observeStop()
        if bellWatch.hearsAll(of: memory.record(of: side.other)) { return (loop, bellWatch) }
        loop.execute { bellWatch.install() }
        if let failure = bellWatch.takeFailure() { throw failure }
        return (loop, bellWatch)
    }
}

/// A watch on the bell, and one on the other process.
final class LoopBellWatch: @unchecked Sendable {
    // Sendable: `watch` and `death` are touched on the loop's thread only. The others are constant or atomic.
    private(set) weak var loop: EventLoop?
    /// For code that needs a loop's watch before each wait: a weak reference costs a locked instruction.
    let loopNumber: UInt64
    /// Strong, until `ChannelEnd.retire`: a weak reference would make each retain of the end, which every message has
    /// some of, a call to the slow path of the runtime's reference counts.
    private let end: ChannelEnd
    private var watch: Watch?
    private var death: ProcessWatch?
    private let stop = Mutex<StopObservation?>(nil)
    /// The epoch of `stop`, for code that needs it before each wait, or 0.
    private let observedStop = Atomic<UInt64>(0)
    private var isRemoved = false
    private let isListening = Atomic(false)
    /// Whether the next look without a ring is arranged.
    private let isLooking = Atomic(false)
    /// The same for checks of the predecessor.
    private let isClaimLooking = Atomic(false)
    private let watchedGeneration = Atomic<UInt64>(0)
    private let failure = Mutex<ChannelError?>(nil)

    init(_ end: ChannelEnd, on loop: EventLoop) {
        self.end = end
        self.loop = loop
        loopNumber = loop.number
    }

    /// Makes a stop wake the waiters here: they check again, and a receiver finds that it takes no more. On any thread.
    func observeStop() {
        guard observedStop.load(ordering: .acquiring) != ProcessStop.epoch, let loop else { return }
        let new = loop.onStop { [waiters = end.waiters] in waiters.wakeAll() }
        stop.withLock { $0 = new }
        observedStop.store(new.epoch, ordering: .releasing)
    }

    func takeFailure() -> ChannelError? {
        failure.withLock { failure in
            defer { failure = nil }
            return failure
        }
    }

    /// Whether there is nothing to install. Runs on any thread.
    func hearsAll(of peer: EndRecord) -> Bool {
        isListening.load(ordering: .acquiring)
            && (peer.owner == nil || peer.isClosed || watchedGeneration.load(ordering: .acquiring) == peer.generation)
    }

    /// Runs on the loop.
    func install() {
        guard let loop, !isRemoved else { return }
        do throws(SystemError) {
            if watch == nil {
                // Edge-triggered, so that the bell need not be read: each ring is an edge, whatever the counter says.
                let watch = Watch(end.memory.bell(of: end.side)) { [weak self] _ in self?.bellRang() }
                try loop.add(watch, for: .readableOnce)
                self.watch = watch
                isListening.store(true, ordering: .releasing)
            }
            try watchPeer(end, on: loop)
            if end.hasObservers { keepRechecking() }
        } catch {
            fail(ChannelError(.system(error), channel: end.memory.name), end)
        }
    }

    private func fail(_ error: ChannelError, _ end: ChannelEnd) {
        failure.withLock { $0 = error }
        end.waiters.wakeAll(andCalls: true)
    }

    private func watchPeer(_ end: ChannelEnd, on loop: EventLoop) throws(SystemError) {
        let record = end.memory.record(of: end.side.other)
        guard let owner = record.owner, !record.isClosed,
            watchedGeneration.load(ordering: .relaxed) != record.generation
        else { return }
        death?.cancel()
        death = nil
        let isOurs = end.wiring.withLock { $0.identity.pid == owner.pid }
        if !isOurs, end.deadGeneration.load(ordering: .acquiring) < record.generation {
            let generation = record.generation
            death = try ProcessWatch(of: owner, on: loop) { [end] in end.peerEnded(generation) }
            if death == nil { end.peerEnded(generation) }
        }
        watchedGeneration.store(record.generation, ordering: .releasing)
    }

    private func bellRang() {
        end.bellRang()
        if let loop, end.hasObservers {
            install()
            end.tellObservers(on: loop)
        }
    }

    /// Makes the loop check the end every `Bell.longestSleep` while it has waiters: a process may have taken a ring
    /// away, or died between its change and the ring. Runs on any thread, after the wait is in the list.
    func keepRechecking() {
        if end.isClaiming || end.mayWaitInVain { keepClaiming() }
        // The check announces that it is the last one before it reads whether there are waiters, so that one of the two
        // sees the other.
        if isLooking.exchange(true, ordering: .sequentiallyConsistent) { return }
        loop?.execute { self.recheckLater() }
    }

    private func recheckLater() {
        guard !isRemoved else { return }
        loop?.call(after: Bell.longestSleep) { [weak self] in self?.recheck() }
    }

    private func recheck() {
        guard !isRemoved else { return }
        isLooking.store(false, ordering: .sequentiallyConsistent)
        guard end.waiters.hasAny || end.hasObservers else { return }
        bellRang()
        keepRechecking()
    }

    /// How often a process looks that waits for its predecessor, or for a dead peer's successor.
    static let claimPause = Duration.milliseconds(10)

    /// Looks whether the predecessor is dead, for as long as this process waits for it, and whether a dead peer still has
    /// a successor to come. Runs on any thread.
    func keepClaiming() {
        if isClaimLooking.exchange(true, ordering: .sequentiallyConsistent) { return }
        loop?.execute { self.claimLater() }
    }

    private func claimLater() {
        guard !isRemoved else { return }
        loop?.call(after: Self.claimPause) { [weak self] in
            guard let self, !isRemoved else { return }
            isClaimLooking.store(false, ordering: .sequentiallyConsistent)
            guard end.isClaiming || end.mayWaitInVain else { return }
            end.settleSuccession()
            end.checkForSuccessor()
            keepClaiming()
        }
    }

    /// Runs on any thread.
    func tellObservers() {
        guard end.hasObservers else { return }
        loop?.execute { self.bellRang() }
    }

    /// The end is not used any more. Its memory stays until nothing watches the bell: other processes have it open,
    /// too, so that closing it does not take it out of this epoll (epoll(7), question 6).
    func remove() {
        stop.withLock { $0 = nil }
        loop?.execute {
            self.isRemoved = true
            if let watch = self.watch { self.loop?.remove(watch) }
            self.death?.cancel()
            self.watch = nil
            self.death = nil
        }
    }
}
