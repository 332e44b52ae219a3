// Orders for managed processes on their way through shared memory.

import PreforkSystem
import Synchronization

/// A few words that a child fills and its supervisor empties. An empty word is 0.
///
/// | bytes     | what                                              |
/// |-----------|---------------------------------------------------|
/// | 0 ..< 8   | next: the place (mod 16) where the next word goes |
/// | 8 ..< 16  | not the ring's: `Scoreboard.onceAnswer`           |
/// | 64 ..< 192| 16 places                                         |
///
/// Several processes may fill it: a worker and the children that it forks itself. Each step is one atomic operation, so
/// that a process that is killed between two of them leaves a ring that works: `next` may be one place behind, which
/// the next sender mends. The supervisor takes words in the order of their places and trusts none of them.
struct ManagedOrderRing: @unchecked Sendable {
    // Sendable: shared memory whose words are all atomic.
    static let byteCount = 192
    static let capacity = 16
    let base: UnsafeMutableRawPointer

    /// Proof: `Scoreboard.controls` gives 192 bytes of its mapping, aligned to 64, which lives as long as the process's
    /// scoreboard. Places are taken modulo 16.
    private func word(_ offset: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (base + offset).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    private var next: UnsafeMutablePointer<Atomic<UInt64>> { word(0) }

    private func place(_ number: UInt64) -> UnsafeMutablePointer<Atomic<UInt64>> {
        word(64 + Int(number % UInt64(Self.capacity)) * 8)
    }

    /// - Parameter packet: not 0.
    /// - Returns: false when all places are taken.
    func put(_ packet: UInt64) -> Bool {
        for _ in 0..<Self.capacity {
            let number = next.pointee.load(ordering: .acquiring)
            let isPut = place(number).pointee.compareExchange(
                expected: 0, desired: packet, ordering: .acquiringAndReleasing
            ).exchanged
            // Also where another sender was killed before this step.
            _ = next.pointee.compareExchange(expected: number, desired: number &+ 1, ordering: .acquiringAndReleasing)
            if isPut { return true }
        }
        return false
    }

    /// At most 16 words, each read once.
    ///
    /// - Parameter position: where the reader's last pass ended, or nil before the first one.
    func take(from position: inout UInt64?) -> [UInt64] {
        var taken: [UInt64] = []
        if let start = position { taken = takeRun(from: start) }
        if taken.isEmpty {
            // Where the reader does not know where it is, or a writer has put words elsewhere: the next word is read at
            // the oldest one's place.
            let start = next.pointee.load(ordering: .acquiring) % UInt64(Self.capacity)
            for offset in 0..<UInt64(Self.capacity) {
                let packet = place(start + offset).pointee.exchange(0, ordering: .acquiring)
                if packet == 0 { continue }
                taken.append(packet)
                position = (start + offset + 1) % UInt64(Self.capacity)
            }
            return taken
        }
        position = ((position ?? 0) + UInt64(taken.count)) % UInt64(Self.capacity)
        return taken
    }

    private func takeRun(from start: UInt64) -> [UInt64] {
        var taken: [UInt64] = []
        while taken.count < Self.capacity {
            let packet = place(start + UInt64(taken.count)).pointee.exchange(0, ordering: .acquiring)
            if packet == 0 { break }
            taken.append(packet)
        }
        return taken
    }

    func clear() {
        next.pointee.store(0, ordering: .relaxed)
        for number in 0..<UInt64(Self.capacity) { place(number).pointee.store(0, ordering: .relaxed) }
    }
}
