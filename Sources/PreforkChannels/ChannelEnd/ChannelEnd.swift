// One end of a channel in this process: its owner, and the state of its two lanes.

import PreforkEventLoop
import PreforkStore
import PreforkSystem
import Synchronization

/// One end. Its state is this process's own and starts anew in a forked child.
///
/// Threads and tasks of the process agree by locks that are held for one record at a time, never while code of the
/// program runs. Order: `wiring` before the others. No code holds two of the others.
@usableFromInline
final class ChannelEnd: Sendable {
    enum Mode: Sendable {
        case active, passive
    }

    struct Wiring {
        /// `ForkCount` of the process that all of this belongs to, or 0 for no process. It starts anew in a forked
        /// child.
        var process: UInt64 = 0
        var identity = ProcessIdentity(pid: 0, startTime: 0)
        /// This process is the one at this end.
        var isHere = false
        var generation: UInt64 = 0
        var isClosed = false
        /// This process has handed the end over to its successor. It may still come back to send.
        var hasLeft = false
        var bellWatches: [LoopBellWatch] = []
        /// For threads that wait without a loop: the other end's process.
        var pidfd: (generation: UInt64, descriptor: ThreadPidfd)?
        var observers = PeerObservers()

        var isOfThisProcess: Bool { process == ForkCount.current }

        /// Forgets what a parent has left here.
        mutating func adopt() {
            if isOfThisProcess { return }
            self = Wiring()
            process = ForkCount.current
            identity = .current
        }
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
    /// The other end's generation when its bell was last heard: only another generation wakes calls.
    let seenGeneration = Atomic<UInt64>(0)
    /// `ForkCount` of the process that waits here for its predecessor.
    let claims = Atomic<UInt64>(0)
    /// Messages that a waiting send has taken for the callbacks.
    let inbox = Mutex(EarlyInbox())
    /// Messages that were sent or received without waiting.
    private let turn = Atomic<UInt32>(0)
    /// The task that hands messages to callbacks, of the type that the channel's messages have.
    let passive = Mutex<(any CallbackReceiver)?>(nil)

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
    func removePosts() {
        let bellWatches = wiring.withLock { wiring in
            defer { wiring.bellWatches = [] }
            // A parent's watches are on loops that do not run here.
            return wiring.isOfThisProcess ? wiring.bellWatches : []
        }
        for bellWatch in bellWatches { bellWatch.remove() }
    }

    func error(_ code: ChannelError.Code) -> ChannelError {
        ChannelError(code, channel: memory.name)
    }

    /// Counts a message that did not have to wait.
    ///
    /// - Returns: true for every 1,024th, and when a supervisor's time for its loop is over: it is time to let others
    ///   have the loop.
    @usableFromInline
    var isTurnOver: Bool {
        let count = (turn.load(ordering: .relaxed) &+ 1) & 1023
        turn.store(count, ordering: .relaxed)
        return count == 0 || DrivenLoops.isTurnOver
    }

    /// What a call throws, after others had the loop: a program that tries again after each error, until it is asked to
    /// stop, would otherwise keep the loop from hearing of the stop.
    @usableFromInline
    func failure(_ error: any Error) async -> any Error {
        await giveTurn()
        return error
    }

    /// Lets the loop serve its descriptors and timers. Otherwise a receiver that never runs out of messages would block
    /// it.
    @usableFromInline
    func giveTurn() async {
        if EventLoop.current == nil { return await Task.yield() }
        // A cancelled task learns of it in its next wait.
        try? await EventLoop.sleep(for: .zero)
    }
}

/// Whatever hands messages to callbacks.
protocol CallbackReceiver: AnyObject, Sendable {}

/// A pidfd that several threads may read.
final class ThreadPidfd: Sendable {
    let descriptor: Descriptor

    init(_ descriptor: consuming Descriptor) {
        self.descriptor = descriptor
    }
}
