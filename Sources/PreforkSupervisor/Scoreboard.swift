// The page of memory on which workers tell the supervisor how they are, without a system call.

import PreforkSystem
import Synchronization

/// Shared words of the supervisor and its workers (MAP_SHARED, made before the first fork).
///
/// | bytes             | word            | written by               | meaning                                |
/// |-------------------|-----------------|--------------------------|----------------------------------------|
/// | 0 ..< 8           | service stops   | supervisor               | 1: the whole pool is ending            |
/// | 8 ..< 16          | lines in use    | supervisor               | no line from this one on is used       |
/// | 64 × (1 + line)   | ready spawn     | that line's worker       | the spawn number of a ready worker     |
/// | the same + 8      | connections     | that line's worker       | how many it serves                     |
/// | + 16              | leaving         | supervisor               | 1: it was asked to end                 |
/// | + 24              | requests        | that line's worker       | how many it has served                 |
/// | + 32              | heartbeat       | that line's worker       | another number with each sign of life  |
/// | + 40              | extension       | that line's worker       | it may be silent until then, monotonic |
/// | + 48              | period          | that line's worker       | nanoseconds between signs; 0: none     |
///
/// Every worker has a line of its own, also while another one of its slot lives. The supervisor clears a line when it
/// has reaped the worker.
///
/// A cache line for each writer: no update of one worker slows another. The supervisor learns of news by an eventfd
/// and then reads the lines.
package final class Scoreboard: Sendable {
    private static let lineSize = 64
    private let mapping: SharedMapping
    /// Untouched lines take no memory.
    let lines: Int

    private enum Word {
        static let readySpawn = 0
        static let connections = 1
        static let leaving = 2
        static let requests = 3
        static let heartbeat = 4
        static let extension_ = 5
        static let period = 6
    }

    /// Its memory as a file, for the next image of this program.
    let file: MemoryFile

    convenience init(lines: Int) throws(SystemError) {
        let file = try MemoryFile(name: "prefork-scoreboard", byteCount: (1 + lines) * Self.lineSize)
        try self.init(file, lines: lines)
    }

    /// - Throws: EPERM, EINVAL for a file that is not one of so many lines.
    convenience init(inherited number: Int32, lines: Int) throws(SystemError) {
        let file = MemoryFile(owning: Descriptor(owning: number))
        guard try file.sealedByteCount() == (1 + lines) * Self.lineSize else {
            throw SystemError("mmap", .invalidArgument, on: "the scoreboard of the image before")
        }
        try self.init(file, lines: lines)
    }

    private init(_ file: consuming MemoryFile, lines: Int) throws(SystemError) {
        self.lines = lines
        mapping = try SharedMapping(file, byteCount: (1 + lines) * Self.lineSize)
        self.file = file
    }

    /// Proof: every offset is a line's start within the mapping, zeroed by the kernel, eight-byte aligned, and only
    /// ever used as this atomic word; the mapping lives as long as the object.
    private func word(_ line: Int, _ index: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        // Lines are handed out by the supervisor, from 0 ..< lines; -1 is its own.
        precondition(line >= -1 && line < lines, "scoreboard line \(line)")
        return (mapping.base + (1 + line) * Self.lineSize + index * 8).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    private func load(_ line: Int, _ index: Int) -> UInt64 { word(line, index).pointee.load(ordering: .relaxed) }

    private func store(_ line: Int, _ index: Int, _ value: UInt64) {
        word(line, index).pointee.store(value, ordering: .relaxed)
    }

    package var serviceStops: Bool {
        get { word(-1, 0).pointee.load(ordering: .acquiring) != 0 }
        set { word(-1, 0).pointee.store(newValue ? 1 : 0, ordering: .releasing) }
    }

    var linesInUse: Int {
        get { min(Int(clamping: load(-1, 1)), lines) }
        set { store(-1, 1, UInt64(newValue)) }
    }

    func readySpawn(line: Int) -> UInt64 { word(line, Word.readySpawn).pointee.load(ordering: .acquiring) }

    func setReadySpawn(_ spawn: UInt64, line: Int) {
        word(line, Word.readySpawn).pointee.store(spawn, ordering: .releasing)
    }

    func connections(line: Int) -> Int { Int(clamping: load(line, Word.connections)) }

    func setConnections(_ count: Int, line: Int) { store(line, Word.connections, UInt64(count)) }

    func isLeaving(line: Int) -> Bool { word(line, Word.leaving).pointee.load(ordering: .acquiring) != 0 }

    func setLeaving(line: Int) { word(line, Word.leaving).pointee.store(1, ordering: .releasing) }

    func requests(line: Int) -> UInt64 { load(line, Word.requests) }

    /// Only the line's worker counts, on one thread or several.
    func countRequests(_ count: UInt64, line: Int) {
        word(line, Word.requests).pointee.wrappingAdd(count, ordering: .relaxed)
    }

    func heartbeat(line: Int) -> UInt64 { load(line, Word.heartbeat) }

    /// One store: the number itself means nothing, only that it is another one.
    @inline(__always)
    func beat(line: Int) { store(line, Word.heartbeat, load(line, Word.heartbeat) &+ 1) }

    func extendedUntil(line: Int) -> MonotonicInstant? {
        let nanoseconds = load(line, Word.extension_)
        return nanoseconds == 0 ? nil : MonotonicInstant(nanoseconds: Int64(clamping: nanoseconds))
    }

    func extend(until instant: MonotonicInstant, line: Int) {
        store(line, Word.extension_, UInt64(clamping: instant.nanoseconds))
    }

    /// How often the line's worker gives a sign of life; nil: never.
    func heartbeatPeriod(line: Int) -> Duration? {
        let nanoseconds = load(line, Word.period)
        return nanoseconds == 0 ? nil : .nanoseconds(Int64(clamping: nanoseconds))
    }

    func setHeartbeatPeriod(_ period: Duration?, line: Int) {
        store(line, Word.period, UInt64(clamping: period?.saturatedNanoseconds ?? 0))
    }

    func clear(line: Int) {
        for index in [Word.connections, Word.leaving, Word.requests, Word.heartbeat, Word.extension_, Word.period] {
            store(line, index, 0)
        }
        setReadySpawn(0, line: line)
    }

    /// Whether a worker serves at least one connection more than the average of the ready workers; of a large pool, of
    /// the 64 after it.
    ///
    /// Up to two connections are no load to share: where each request comes on a connection of its own, a worker's
    /// count is the one in hand, and standing back for it would halve the throughput (measured: 14,100 instead of
    /// 21,000 connections/s with two workers).
    func hasMoreConnectionsThanAverage(line: Int) -> Bool {
        let own = load(line, Word.connections)
        guard own > 2 else { return false }
        let count = linesInUse
        var workers: UInt64 = 0
        var connections: UInt64 = 0
        for offset in 0..<min(count, 64) {
            let other = (line + offset) % count
            guard load(other, Word.readySpawn) != 0, load(other, Word.leaving) == 0 else { continue }
            workers += 1
            // Another worker's word, whatever it has in it: a sum of 64 of them must not trap.
            connections += min(load(other, Word.connections), UInt64(UInt32.max))
        }
        return min(own, UInt64(UInt32.max)) * workers >= connections + workers
    }
}
