// The receiving state of an end: the ring's reading side, and the other end's generations.

import PreforkStore
import PreforkSystem

/// Guarded by `ChannelEnd.receiving`.
struct ReceivingState: Sendable {
    /// `ForkCount` of the process that it belongs to. If 0, no process has it yet.
    var process: UInt64 = 0
    var isClosed = false
    /// The end belongs to the successor, or will: nothing is received any more.
    var hasLeft = false
    var mode: ChannelEnd.Mode?
    /// Whether this process has ever asked for calls. While it has not, they are refused.
    var answersCalls = false
    var consumer: ByteRingConsumer
    /// Messages that callbacks have not handled yet, those that were taken early included, and calls to be refused.
    var inHand = 0
    /// Calls that the program has taken and not answered.
    var takenCalls: Set<TakenCall> = []
    private var owner: UInt64 = ForkCount.current
    private var generation: UInt64 = 0
    /// Calls in front of this position were meant for a predecessor, and are known to have failed.
    private(set) var firstCall: UInt64 = 0
    /// Whether the next record may be one that a predecessor has begun to take: it died between the record's packet and
    /// the record. The message is gone with it, as one that it had taken.
    private(set) var mayBeHalfTaken = false
    private var history = PeerHistory()

    init(_ ring: ByteRing) {
        consumer = ByteRingConsumer(ring)
    }

    /// A call, by its caller's generation and its number.
    struct TakenCall: Hashable, Sendable {
        var generation: UInt64
        var id: UInt64
    }

    /// Whether `mode` and `answersCalls` were set by this process. It may set them before it is at the end.
    var isOfThisProcess: Bool { owner == ForkCount.current }

    /// Forgets what a parent has set.
    mutating func adopt() {
        if isOfThisProcess { return }
        mode = nil
        answersCalls = false
        owner = ForkCount.current
    }

    /// Takes nothing from now on, unless something is in hand.
    mutating func pauseIfIdle(peer: UInt64) -> Bool {
        guard inHand <= 0, !takenCalls.contains(where: { $0.generation == peer }) else { return false }
        process = 0
        return true
    }

    mutating func start(generation: UInt64, peer: UInt64, _ legacy: EndLegacy) {
        process = ForkCount.current
        self.generation = generation
        mayBeHalfTaken = generation > 1
        firstCall = legacy == .messages ? consumer.end : consumer.head
        history = PeerHistory(current: peer)
    }

    /// Frees the record that was read.
    ///
    /// - Returns: whether the sender must be woken.
    mutating func advance(past header: ByteRingHeader) -> Bool {
        mayBeHalfTaken = false
        return consumer.advance(past: header)
    }

    enum Next: Sendable {
        case record(ByteRingHeader)
        /// A call whose caller no longer waits. It is skipped.
        case stale(ByteRingHeader)
        case died(UInt64)
        /// Nothing is there, and no process could send it.
        case closed
        case nothing
        case corrupt(String)
    }

    /// What a receiver gets next.
    ///
    /// - Parameter known: the last generation of the other end that is known to be dead. To be read before, so that
    ///   what it had sent is seen.
    mutating func next(_ memory: ChannelMemory, from peer: EndSide, dead known: UInt64) -> Next {
        switch consumer.look() {
        case .corrupt:
            return .corrupt("a record of the ring")
        case .record(let header):
            return next(header, memory, from: peer)
        case .empty:
            let generation = memory.generation(of: peer)
            // A snapshot. If the peer has closed or arrived anew after the check of the ring, the ring must be checked
            // again.
            let closed = memory.closedGeneration(of: peer)
            if case .record(let header) = consumer.look() { return next(header, memory, from: peer) }
            if case .died(let generation) = history.advance(to: generation, closed: memory.closedGenerations(of: peer))
            {
                return .died(generation)
            }
            if closed != 0, closed == generation { return .closed }
            if generation > 0, known >= generation, case .died(let dead) = history.currentDied() { return .died(dead) }
            return .nothing
        }
    }

    @inline(__always)
    private mutating func next(_ header: ByteRingHeader, _ memory: ChannelMemory, from peer: EndSide) -> Next {
        if header.generation != history.current {
            guard header.generation <= memory.generation(of: peer) else {
                // A generation's number is stored when it has attached, which is before it sends.
                return .corrupt("a message of generation \(header.generation)")
            }
            let closed = memory.closedGenerations(of: peer)
            if case .died(let generation) = history.advance(to: header.generation, closed: closed) {
                return .died(generation)
            }
        }
        switch header.type {
        case .message: return .record(header)
        case .call:
            let isStale =
                header.generation != memory.generation(of: peer) || Int64(bitPattern: consumer.head &- firstCall) < 0
            return isStale ? .stale(header) : .record(header)
        case .reply, .failure: return .corrupt("a reply among messages")
        }
    }
}
