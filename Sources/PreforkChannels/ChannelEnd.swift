// One end of a channel as this process has it: who holds it, and what its two lanes are doing.

import PreforkEventLoop
import PreforkStore
import PreforkSystem
import Synchronization

/// One end. Its state is this process's own and starts anew in a forked child.
///
/// Threads and tasks of the process agree by locks that are held for one record at a time, never while code of the
/// program runs. Order: `wiring` before the others, of which nobody holds two.
@usableFromInline
final class ChannelEnd: Sendable {
    enum Mode: Sendable {
        case active, passive
    }

    struct Wiring {
        /// `ForkCount` of the process that has attached; 0: none.
        var process: UInt64 = 0
        var generation: UInt64 = 0
        var pid: Int32 = 0
        var isClosed = false
        var posts: [LoopPost] = []
        /// For threads that wait without a loop: the other end's process.
        var pidfd: (generation: UInt64, descriptor: ThreadPidfd)?
        var observers = PeerObservers()
    }

    let memory: ChannelMemory
    let side: EndSide
    let messages: SendingLane
    let replies: SendingLane
    let receiving: Mutex<ReceivingState>
    let calls: Mutex<CallState>
    let wiring = Mutex(Wiring())
    let waiters = ChannelWaiters()
    /// The last generation of the other end whose death this process has noticed.
    let deadGeneration = Atomic<UInt64>(0)
    /// Messages that a waiting send has taken for the callbacks.
    let inbox = Mutex(PassiveInbox())
    /// Messages that were sent or received without waiting.
    private let turn = Atomic<UInt32>(0)
    /// The task that hands messages to callbacks, of the type that the channel's messages have.
    let passive = Mutex<(any PassiveReceiver)?>(nil)

    init(_ memory: ChannelMemory, _ side: EndSide) {
        self.memory = memory
        self.side = side
        messages = SendingLane(memory, .messages, from: side)
        replies = SendingLane(memory, .replies, from: side)
        receiving = Mutex(ReceivingState(memory.ring(.messages, from: side.other)))
        calls = Mutex(CallState(memory.ring(.replies, from: side.other)))
    }

    /// The last handle of the channel has gone.
    func retire() {
        removePosts()
    }

    /// No loop of this process listens here any more.
    private func removePosts() {
        let posts = wiring.withLock { wiring in
            defer { wiring.posts = [] }
            // Those of a parent are on loops that do not run here.
            return wiring.process == ForkCount.current ? wiring.posts : []
        }
        for post in posts { post.remove() }
    }

    func error(_ code: ChannelError.Code) -> ChannelError {
        ChannelError(code, channel: memory.name)
    }

    // MARK: Being at the end

    /// Makes this process the one at this end, unless it is already.
    ///
    /// - Throws: `.endInUse`, `.closed` when this process has closed it, `.busy`.
    func attach() throws(ChannelError) {
        let isNew = try wiring.withLock { wiring throws(ChannelError) -> Bool in
            if wiring.process == ForkCount.current {
                if wiring.isClosed { throw error(.closed) }
                return false
            }
            let identity = ProcessIdentity.current
            let generation = try memory.attach(identity, to: side, prepare: takeLanes)
            inbox.withLock { $0 = PassiveInbox() }
            wiring = Wiring(process: ForkCount.current, generation: generation, pid: identity.pid)
            return true
        }
        // The other end may be waiting for somebody to come.
        if isNew { memory.ringBell(of: side.other) }
    }

    /// Goes on where the last process at this end has stopped. Runs under the header's lock.
    private func takeLanes(_ generation: UInt64) {
        let peer = memory.generation(of: side.other)
        messages.start(generation: generation)
        replies.start(generation: generation)
        receiving.withLock { state in
            state = ReceivingState(memory.ring(.messages, from: side.other))
            if memory.options.undelivered == .drop, generation > 1 { skipAll(&state.consumer, .messages) }
            state.start(generation: generation, peer: peer)
        }
        calls.withLock { state in
            state = CallState(memory.ring(.replies, from: side.other))
            // What waits was meant for a predecessor.
            skipAll(&state.consumer, .replies)
            state.start(generation: generation)
        }
    }

    /// Closes this end, for this process; the other end receives what was sent before. A second call has no effect.
    func close() {
        // One who has never been there closes it, too, so that nobody waits for them.
        try? attach()
        let generation = wiring.withLock { wiring -> UInt64? in
            guard wiring.process == ForkCount.current, !wiring.isClosed else { return nil }
            wiring.isClosed = true
            return wiring.generation
        }
        guard let generation else { return }
        messages.close()
        replies.close()
        receiving.withLock { $0.isClosed = true }
        calls.withLock { $0.isClosed = true }
        memory.close(side, generation: generation)
        memory.ringBell(of: side.other)
        wakeLocally()
        // From now on the bell rings for a successor.
        removePosts()
    }

    var isClosedHere: Bool { wiring.withLock { $0.process == ForkCount.current && $0.isClosed } }

    // MARK: Taking turns

    /// Counts a message that did not have to wait.
    ///
    /// - Returns: true for every 1,024th: it is time to let others have the loop.
    @usableFromInline
    var isTurnOver: Bool {
        let count = (turn.load(ordering: .relaxed) &+ 1) & 1023
        turn.store(count, ordering: .relaxed)
        return count == 0
    }

    /// Lets the loop look at its descriptors and timers: one who is never without messages would keep it for itself.
    @usableFromInline
    func giveTurn() async {
        if EventLoop.current == nil { return await Task.yield() }
        // A cancelled task has its next wait to hear of it.
        try? await EventLoop.sleep(for: .zero)
    }

    // MARK: The other end

    /// The other end as a wait sees it.
    ///
    /// - Throws: `.corrupt`, `.closed`, `.peerDied`: there is nobody to wait for.
    func checkPeerCanTake() throws(ChannelError) {
        if memory.isCorrupt { throw error(.corrupt("found before")) }
        if memory.isClosed(side.other) { throw error(.closed) }
        let generation = memory.generation(of: side.other)
        if generation > 0, deadGeneration.load(ordering: .acquiring) >= generation {
            throw error(.peerDied(generation: generation))
        }
    }

    /// Runs on any thread, once or more for each death.
    func peerEnded(_ generation: UInt64) {
        var known = deadGeneration.load(ordering: .relaxed)
        while known < generation {
            let (isDone, seen) = deadGeneration.weakCompareExchange(
                expected: known, desired: generation, ordering: .acquiringAndReleasing)
            if isDone { break }
            known = seen
        }
        wakeLocally()
    }

    /// Something has happened in this process that those who wait here should look at.
    func wakeLocally() {
        waiters.wakeAll(andCalls: true)
        // A thread that waits without a loop has only its bell; and so have observers on their loops.
        memory.ringBell(of: side)
    }

    /// The other end has rung: messages, replies, room, somebody who came or went.
    func bellRang() {
        drainReplies()
        if memory.isCorrupt || memory.isClosed(side.other) {
            waiters.wakeAll(andCalls: true)
        } else {
            waiters.wakeAll()
        }
    }

    /// Closes the channel for good: what is in its memory comes from no process of this package.
    func corrupt(_ what: String) -> ChannelError {
        memory.markCorrupt()
        waiters.wakeAll(andCalls: true)
        return error(.corrupt(what))
    }
}

/// Whatever hands messages to callbacks.
protocol PassiveReceiver: AnyObject, Sendable {}

/// A pidfd that several may look at.
final class ThreadPidfd: Sendable {
    let descriptor: Descriptor

    init(_ descriptor: consuming Descriptor) {
        self.descriptor = descriptor
    }
}
