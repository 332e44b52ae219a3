// A thread without a loop that waits for a queue.

import PreforkEventLoop
import PreforkStore
import PreforkSystem
import Synchronization

/// One sleeping thread: its own epoll with the queue's bell and the pidfds of the other receivers. The bell is
/// edge-triggered as everywhere, because an unread bell would keep a plain poll(2) awake.
final class WorkQueueSleeper {
    private let epoll: Epoll
    private var events = EpollEventBuffer(capacity: 16)
    private var watched: [QueueOwner.ID: Watched] = [:]
    private var seenVersion: UInt64?
    private var isBlind = false
    private let stopBell: StopBell

    private static let bellWord = UInt64.max
    /// How often to check processes that have no pidfd.
    private static let pause: Int64 = 250_000_000

    private final class Watched {
        let owner: QueueOwner
        let pidfd: Descriptor

        init(owner: QueueOwner, pidfd: consuming Descriptor) {
            self.owner = owner
            self.pidfd = pidfd
        }
    }

    init(bell: Int32) throws(SystemError) {
        epoll = try Epoll()
        stopBell = try StopBell()
        try epoll.add(bell, .readableOnce, word: Self.bellWord)
        try epoll.add(stopBell.bell.descriptor.number, .readableOnce, word: Self.bellWord)
    }

    /// Has the sleep end when this process is asked to stop, for as long as the caller keeps the answer.
    func observeStop() -> StopObservation {
        StopObservation { [stopBell] in stopBell.bell.ring() }
    }

    /// Belongs to one sleeper. The stop may ring it until the observation has ended.
    private final class StopBell: Sendable {
        let bell: Bell

        init() throws(SystemError) { bell = try Bell() }
    }

    /// Sleeps until the bell rings, a receiver dies, the time is over, or the caller should check again without a ring.
    func sleep(until deadline: MonotonicInstant) throws(SystemError) {
        var timeout = isBlind ? Self.pause : Bell.longestSleep.saturatedNanoseconds
        if deadline != .distantFuture { timeout = min(timeout, max(0, (deadline - .now).saturatedNanoseconds)) }
        try events.wait(epoll, timeout: timeout)
    }

    /// Takes back the messages of receivers that have died, and watches the living ones.
    ///
    /// - Returns: true when some have come back.
    func look(at table: QueueTable) throws(QueueTable.Failure) -> Bool {
        var haveReturned = false
        for index in 0..<events.count where events[index].word != Self.bellWord {
            let slot = events[index].word
            for (id, entry) in watched where UInt64(entry.owner.slot) == slot {
                haveReturned = try table.reclaim(entry.owner) > 0 || haveReturned
                forget(id)
            }
        }
        // A check may follow without a sleep. By then a living successor may have the slot.
        events.forget()
        if isBlind { haveReturned = try table.reclaim(onlyBusy: true) > 0 || haveReturned }
        let version = table.ownersVersion
        if version == seenVersion { return haveReturned }
        seenVersion = version
        isBlind = false
        let owners = table.otherOwners()
        for id in watched.keys where !owners.contains(where: { $0.id == id }) { forget(id) }
        for owner in owners where watched[owner.id] == nil {
            do throws(SystemError) {
                guard let pidfd = try owner.process.openPidfd() else {
                    haveReturned = ((try? table.reclaim(owner)) ?? 0) > 0 || haveReturned
                    continue
                }
                try epoll.add(pidfd.number, .readable, word: UInt64(owner.slot))
                watched[owner.id] = Watched(owner: owner, pidfd: pidfd)
            } catch {
                isBlind = true
            }
        }
        return haveReturned
    }

    private func forget(_ id: QueueOwner.ID) {
        // Out of the epoll by hand: a child that was forked meanwhile has the open file, too (epoll(7), question 6).
        if let entry = watched.removeValue(forKey: id) { epoll.remove(entry.pidfd.number) }
    }
}

/// Sleepers that have nothing to do, so that a sleep costs one system call.
final class WorkQueueSleepers: Sendable {
    private let idle = Mutex(Idle())

    // Sendable: the thread that has taken it out is the only one that has it. A sleeper made before a fork shares its
    // epoll with the parent and is given up.
    private struct Idle: @unchecked Sendable {
        var epoch = ForkCount.current
        var sleepers: [WorkQueueSleeper] = []
    }

    /// - Throws: what `body` throws, and a `SystemError` as `WorkQueueError`.
    func with<Answer>(
        bell: Int32, queue: String, _ body: (WorkQueueSleeper) throws -> Answer
    ) throws -> Answer {
        do {
            return try with(bell: bell, body)
        } catch let error as SystemError {
            throw WorkQueueError(error, queue: queue)
        }
    }

    private func with<Answer>(
        bell: Int32, _ body: (WorkQueueSleeper) throws -> Answer
    ) throws -> Answer {
        let idleOne = idle.withLock { idle -> Unchecked? in
            if idle.epoch != ForkCount.current { idle = Idle() }
            return idle.sleepers.popLast().map(Unchecked.init)
        }
        let sleeper = try idleOne?.sleeper ?? WorkQueueSleeper(bell: bell)
        defer {
            let used = Unchecked(sleeper: sleeper)
            idle.withLock { if $0.sleepers.count < 16 { $0.sleepers.append(used.sleeper) } }
        }
        return try body(sleeper)
    }

    private struct Unchecked: @unchecked Sendable {
        // Sendable: as `Idle`, whose entry it is on its way in or out.
        let sleeper: WorkQueueSleeper
    }
}
