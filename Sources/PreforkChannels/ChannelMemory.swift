// What both ends of a channel share: a mapping, two bells, two pairs of sockets.

import PreforkStore
import PreforkSystem
import Synchronization

/// Made before the fork; every process of the family keeps all of it, so that it outlives each of them.
///
/// ```
/// bytes        what                           written by
///    0         why the channel is corrupt     anyone; 0: it is not
///   64         lock (64 bytes)                who attaches
///  128, 192    end of creator, of peer        its owner, under the lock: pid, start time, generation, closed,
///                                             who of the last 64 has closed
///  256 + 256n  words of ring n                see ByteRing; messages of creator, of peer, replies of both
/// 1280 + 32n  pool words of ring n           see PayloadPool
/// 4096         memory of the four rings
/// ```
final class ChannelMemory: Sendable {
    let name: String
    let options: ChannelOptions
    private let mapping: SharedMapping
    private let lock: RobustLock
    private let creatorBell: EventCounter
    private let peerBell: EventCounter
    private let messagePackets: PacketPair
    private let replyPackets: PacketPair
    private let capacities: (messages: Int, replies: Int)

    /// What goes which way in a ring of its own.
    enum Lane: Int, Sendable {
        case messages = 0
        case replies = 1
    }

    init(name: String, options: ChannelOptions) throws(ChannelError) {
        guard (1...1 << 30).contains(options.ringBytes) else {
            throw ChannelError(.badArgument("a ring of \(options.ringBytes) bytes"), channel: name)
        }
        guard (1..<Int(UInt32.max)).contains(options.messageLimit) else {
            throw ChannelError(.badArgument("a message limit of \(options.messageLimit) bytes"), channel: name)
        }
        self.name = name
        self.options = options
        let capacity = max(4096, 1 << (Int.bitWidth - (options.ringBytes - 1).leadingZeroBitCount))
        capacities = (capacity, max(4096, capacity / 4))
        do throws(SystemError) {
            mapping = try SharedMapping(byteCount: 4096 + 2 * capacities.messages + 2 * capacities.replies)
            lock = try RobustLock.make(at: mapping.base + 64)
            creatorBell = try EventCounter()
            peerBell = try EventCounter()
            messagePackets = try PacketPair()
            replyPackets = try PacketPair()
        } catch {
            throw ChannelError(.system(error), channel: name)
        }
    }

    /// The ring by which `side` sends.
    func ring(_ lane: Lane, from side: EndSide) -> ByteRing {
        let capacity = lane == .messages ? capacities.messages : capacities.replies
        let start = 4096 + (lane == .messages ? 0 : 2 * capacities.messages) + side.rawValue * capacity
        return ByteRing(
            control: mapping.base + 256 + ByteRing.controlByteCount * (lane.rawValue * 2 + side.rawValue),
            memory: mapping.base + start, capacity: capacity)
    }

    /// The socket of `side`, for what travels beside the ring.
    func socket(_ lane: Lane, of side: EndSide) -> Int32 {
        switch (lane, side) {
        case (.messages, .creator): messagePackets.first.number
        case (.messages, .peer): messagePackets.second.number
        case (.replies, .creator): replyPackets.first.number
        case (.replies, .peer): replyPackets.second.number
        }
    }

    // MARK: Bells

    func bell(of side: EndSide) -> Int32 {
        side == .creator ? creatorBell.descriptor.number : peerBell.descriptor.number
    }

    func ringBell(of side: EndSide) {
        EventCounter.signal(bell(of: side))
    }

    func clearBell(of side: EndSide) {
        if side == .creator { creatorBell.clear() } else { peerBell.clear() }
    }

    // MARK: Words

    private func word(_ offset: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (mapping.base + offset).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    func poolWord(_ slot: Int, _ lane: Lane, from side: EndSide) -> UnsafeMutablePointer<Atomic<UInt64>> {
        word(1280 + 32 * (lane.rawValue * 2 + side.rawValue) + 8 * slot)
    }

    private func word(_ index: Int, of side: EndSide) -> UnsafeMutablePointer<Atomic<UInt64>> {
        word(128 + 64 * side.rawValue + 8 * index)
    }

    @inline(__always)
    var isCorrupt: Bool { word(0).pointee.load(ordering: .relaxed) != 0 }

    /// Closes the channel for good.
    func markCorrupt() {
        word(0).pointee.store(1, ordering: .sequentiallyConsistent)
        ringBell(of: .creator)
        ringBell(of: .peer)
    }

    @inline(__always)
    func generation(of side: EndSide) -> UInt64 { word(2, of: side).pointee.load(ordering: .acquiring) }

    @inline(__always)
    func closedGeneration(of side: EndSide) -> UInt64 { word(3, of: side).pointee.load(ordering: .acquiring) }

    func closedGenerations(of side: EndSide) -> ClosedGenerations {
        let bits = word(4, of: side).pointee.load(ordering: .acquiring)
        return ClosedGenerations(bits: bits, newest: generation(of: side))
    }

    @inline(__always)
    func isClosed(_ side: EndSide) -> Bool {
        let closed = closedGeneration(of: side)
        return closed != 0 && closed == generation(of: side)
    }

    /// A picture of an end, whoever changes it meanwhile: the generation is stored last.
    func record(of side: EndSide) -> EndRecord {
        while true {
            let generation = generation(of: side)
            let pid = Int32(truncatingIfNeeded: word(0, of: side).pointee.load(ordering: .acquiring))
            let startTime = word(1, of: side).pointee.load(ordering: .acquiring)
            let closed = closedGeneration(of: side)
            let bits = word(4, of: side).pointee.load(ordering: .acquiring)
            guard generation == self.generation(of: side) else { continue }
            let owner = pid > 0 ? ProcessIdentity(pid: pid, startTime: startTime) : nil
            return EndRecord(owner: owner, generation: generation, closedGeneration: closed, closedBits: bits)
        }
    }

    /// Makes `process` the owner of an end, or tells why not.
    ///
    /// - Parameter prepare: called under the lock with the new generation, before anybody sees it.
    func attach(
        _ process: ProcessIdentity, to side: EndSide, prepare: (UInt64) -> Void
    ) throws(ChannelError) -> UInt64 {
        do throws(SystemError) {
            // A second: a holder has a dozen stores to do, so that only one that is stopped takes longer.
            if try lock.lock(timeout: 1_000_000_000) == .ownerDied { lock.declareRecovered() }
        } catch {
            throw ChannelError(error.errno == .timedOut ? .busy : .system(error), channel: name)
        }
        defer { lock.unlock() }
        switch record(of: side).attachment(of: process, isAlive: { $0.isAlive }) {
        case .inUse(let pid):
            throw ChannelError(.endInUse(pid: pid), channel: name)
        case .take(let generation):
            prepare(generation)
            // It was the bit of one 64 lives ago.
            word(4, of: side).pointee.bitwiseAnd(~ClosedGenerations.bit(of: generation), ordering: .acquiringAndReleasing)
            // One who dies between these is a dead owner of the old generation, which comes to the same.
            word(1, of: side).pointee.store(process.startTime, ordering: .releasing)
            word(0, of: side).pointee.store(UInt64(process.pid), ordering: .releasing)
            word(2, of: side).pointee.store(generation, ordering: .sequentiallyConsistent)
            return generation
        }
    }

    func close(_ side: EndSide, generation: UInt64) {
        // A successor may be there already, if this process has closed before.
        guard self.generation(of: side) == generation else { return }
        // The bit first: with the word the end is free for a successor.
        word(4, of: side).pointee.bitwiseOr(ClosedGenerations.bit(of: generation), ordering: .acquiringAndReleasing)
        word(3, of: side).pointee.store(generation, ordering: .sequentiallyConsistent)
    }

    /// Tests: writes over the shared memory.
    func scribble(_ value: UInt64, at offset: Int) {
        mapping.base.storeBytes(of: value, toByteOffset: offset, as: UInt64.self)
    }
}
