// The memory and descriptors that both ends of a channel share: a mapping, two bells, two pairs of sockets.

import PreforkStore
import PreforkSystem
import Synchronization

/// Made before the fork. Every process of the family keeps all of it, so that it outlives each of them.
///
/// ```
/// bytes        what                           written by
///    0         why the channel is corrupt     anyone; 0: it is not
///   64         lock (64 bytes)                who attaches
///  128, 192    end of creator, of peer        its owner, under the lock: pid, start time, generation, closed,
///                                             who of the last 64 has closed
///  256 + 256n  words of ring n                see ByteRing; messages of creator, of peer, replies of both
/// 1280 + 32n  pool words of ring n           see PayloadPool
/// 1408, 1472  slot of creator, of peer       who attaches or hands over, under the lock: identity and spawn of the
///                                            owner; spawn, pid, start time of the claimant; who of the last 64 was
///                                            succeeded; the last generation that takes no more calls; the position
///                                            in the ring to it from which on calls are the present owner's
/// 4096         memory of the four rings
/// ```
final class ChannelMemory: Sendable {
    let name: String
    let options: ChannelOptions
    private let parts: ChannelParts
    let lock: SharedLock
    private let notedLocks: NotedLocks
    let form: ChannelForm
    /// Names it among what the next image of this program is left.
    private let offer: UInt64

    /// What a ring carries. Each kind has its own ring in each direction.
    enum Lane: Int, Sendable {
        case messages = 0
        case replies = 1
    }

    init(name: String, options: ChannelOptions) throws(ChannelError) {
        if name.isEmpty { throw ChannelError(.badArgument("a channel without a name"), channel: name) }
        guard (1...1 << 30).contains(options.ringBytes) else {
            throw ChannelError(
                .badArgument("a ring of \(options.ringBytes) bytes is not within 1 byte to 1 GiB"), channel: name)
        }
        guard (1..<Int(UInt32.max)).contains(options.messageLimit) else {
            let problem = "a message limit of \(options.messageLimit) bytes is not within 1 byte to 4 GiB"
            throw ChannelError(.badArgument(problem), channel: name)
        }
        self.name = name
        self.options = options
        let capacity = max(4096, 1 << (Int.bitWidth - (options.ringBytes - 1).leadingZeroBitCount))
        let form = ChannelForm(capacity: capacity, messageLimit: options.messageLimit)
        self.form = form
        let claim = Handover.claim("channel", name: name)
        var left = claim.left
        if let objection = left.flatMap({ form.objection(toText: $0.text) }) {
            Handover.refuse(claim, objection)
            left = nil
        }
        // A trial's memory is a dead end: what the trial sends and receives does not concern the pool.
        if Handover.isTrial { left = nil }
        let reach = MemoryReach(claim, travels: options.travels)
        do throws(SystemError) {
            parts =
                if let left {
                    try ChannelParts.adopt(left.descriptors, byteCount: form.byteCount, reach)
                } else {
                    try ChannelParts.make(byteCount: form.byteCount, reach)
                }
        } catch {
            throw ChannelError(.system(error), channel: name)
        }
        lock = SharedLock(at: parts.mapping.base + 64)
        notedLocks = NotedLocks(at: parts.mapping.base + 64)
        // Where this process had it as the program after this one.
        if left != nil, Handover.isAfterEnd { _ = lock.disown() }
        let descriptors = parts.descriptors
        offer = Handover.offer(claim, descriptors: descriptors, text: form.text, isTaken: left != nil) { isLeaving in
            // Withdrawn before the file is closed.
            if let memory = descriptors.first, reach == .images { MemoryFile.keepWhole(memory, !isLeaving) }
        }
    }

    /// A channel that another process has made.
    ///
    /// - Throws: `HandleRefusal`.
    init(opening handle: ArrivedHandle, _ options: ChannelOptions, _ form: ChannelForm) throws(HandleRefusal) {
        name = handle.note.name
        self.options = options
        self.form = form
        try handle.check(bells: 2)
        do throws(SystemError) {
            parts = try ChannelParts.open(handle.release(), byteCount: form.byteCount)
        } catch {
            throw HandleRefusal(error.travelText)
        }
        lock = SharedLock(at: parts.mapping.base + 64)
        notedLocks = NotedLocks(at: parts.mapping.base + 64)
        offer = 0
    }

    deinit {
        Handover.withdraw(offer)
    }

    /// Memory, bells and sockets, as they travel; empty: the channel was not made to.
    var descriptors: [Int32] { parts.descriptors }

    var identity: FileIdentity? { parts.identity }

    private var base: UnsafeMutableRawPointer { parts.mapping.base }

    /// The ring by which `side` sends.
    func ring(_ lane: Lane, from side: EndSide) -> ByteRing {
        let capacity = lane == .messages ? form.capacity : form.replyCapacity
        let start = 4096 + (lane == .messages ? 0 : 2 * form.capacity) + side.rawValue * capacity
        return ByteRing(
            control: base + 256 + ByteRing.controlByteCount * (lane.rawValue * 2 + side.rawValue),
            memory: base + start, capacity: capacity)
    }

    /// The socket of `side`, for what travels beside the ring.
    func socket(_ lane: Lane, of side: EndSide) -> Int32 {
        switch (lane, side) {
        case (.messages, .creator): parts.messagePackets.first.number
        case (.messages, .peer): parts.messagePackets.second.number
        case (.replies, .creator): parts.replyPackets.first.number
        case (.replies, .peer): parts.replyPackets.second.number
        }
    }

    func bell(of side: EndSide) -> Int32 {
        side == .creator ? parts.creatorBell.descriptor.number : parts.peerBell.descriptor.number
    }

    func ringBell(of side: EndSide) {
        // A thread that waits for messages may sleep on their ring and not hear the bell.
        let ring = ring(.messages, from: side.other)
        if ring.asleep.pointee.load(ordering: .sequentiallyConsistent) == ConsumerSleep.onWord { _ = ring.wakeConsumer() }
        Bell.ring(bell(of: side))
    }

    func clearBell(of side: EndSide) {
        if side == .creator { parts.creatorBell.clear() } else { parts.peerBell.clear() }
    }

    func word(_ offset: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (base + offset).assumingMemoryBound(to: Atomic<UInt64>.self)
    }
}
