// The page of memory on which workers tell the supervisor how they are, without a system call.

import PreforkSystem
import Synchronization

/// Shared words of the supervisor and its workers (MAP_SHARED, made before the first fork).
///
/// | bytes             | word            | written by               | meaning                                |
/// |-------------------|-----------------|--------------------------|----------------------------------------|
/// | 0 ..< 8           | service stops   | supervisor               | 1: the whole pool is ending            |
/// | 64 × (1 + slot)   | ready spawn     | that slot's worker       | the spawn number of a ready worker     |
/// | the same + 8      | connections     | that slot's worker       | how many it serves                     |
///
/// The supervisor clears a slot's line when it has reaped the worker.
///
/// A cache line for each writer: no update of one worker slows another. The supervisor learns of news by an eventfd
/// and then reads the lines.
package final class Scoreboard: Sendable {
    private static let lineSize = 64
    private let mapping: SharedMapping

    init(slots: Int) throws(SystemError) {
        mapping = try SharedMapping(byteCount: (1 + slots) * Self.lineSize)
    }

    /// Proof: every offset is a line's start within the mapping, zeroed by the kernel, eight-byte aligned, and only
    /// ever used as this atomic word; the mapping lives as long as the object.
    private func word(line: Int, _ index: Int = 0) -> UnsafeMutablePointer<Atomic<UInt64>> {
        // A slot's number is the supervisor's own, given to the worker by fork; nothing that is read can change it.
        precondition(line >= 0 && (line + 1) * Self.lineSize <= mapping.byteCount, "scoreboard line \(line)")
        return (mapping.base + line * Self.lineSize + index * 8).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    package var serviceStops: Bool {
        get { word(line: 0).pointee.load(ordering: .acquiring) != 0 }
        set { word(line: 0).pointee.store(newValue ? 1 : 0, ordering: .releasing) }
    }

    func readySpawn(slot: Int) -> UInt64 {
        word(line: 1 + slot).pointee.load(ordering: .acquiring)
    }

    func setReadySpawn(_ spawn: UInt64, slot: Int) {
        word(line: 1 + slot).pointee.store(spawn, ordering: .releasing)
    }

    func setConnections(_ count: Int, slot: Int) {
        word(line: 1 + slot, 1).pointee.store(UInt64(count), ordering: .relaxed)
    }

    func clear(slot: Int) {
        word(line: 1 + slot, 1).pointee.store(0, ordering: .relaxed)
        word(line: 1 + slot).pointee.store(0, ordering: .releasing)
    }

    /// Whether a slot's worker serves at least one connection more than the average of the ready workers; of a large
    /// pool, of the 64 after it.
    ///
    /// Up to two connections are no load to share: where each request comes on a connection of its own, a worker's
    /// count is the one in hand, and standing back for it would halve the throughput (measured: 14,100 instead of
    /// 21,000 connections/s with two workers).
    func hasMoreConnectionsThanAverage(slot: Int) -> Bool {
        let own = word(line: 1 + slot, 1).pointee.load(ordering: .relaxed)
        guard own > 2 else { return false }
        let slots = mapping.byteCount / Self.lineSize - 1
        var workers: UInt64 = 0
        var connections: UInt64 = 0
        for offset in 0..<min(slots, 64) {
            let line = 1 + (slot + offset) % slots
            guard word(line: line).pointee.load(ordering: .relaxed) != 0 else { continue }
            workers += 1
            connections += word(line: line, 1).pointee.load(ordering: .relaxed)
        }
        return own * workers >= connections + workers
    }
}
