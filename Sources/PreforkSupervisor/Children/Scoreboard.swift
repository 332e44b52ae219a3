// The memory in which children tell their supervisor how they are, without a system call.

package import PreforkSystem
import Synchronization

/// Shared words of a supervisor and its children, in six regions of one memory file. Untouched pages take no memory.
///
/// | region    | bytes of each line | what                                                          |
/// |-----------|--------------------|---------------------------------------------------------------|
/// | lines     | 64                 | the words below                                               |
/// | controls  | 192                | a `ManagedOrderRing`: orders for managed processes            |
/// | dumps     | 1,024              | where the line's process leaves its stack when it is asked    |
/// |           |                    | (`StackDump`), and what it knows of its crash (`CrashRecord`) |
/// | durations | 256                | how long its requests took: `HistogramWords`                  |
/// | requests  | 13,504             | what the line's process does: a ring, see `RequestRingLayout` |
///
/// | loops     | 64                 | when its loop's turn has begun (`LoopMark`), and how much blocking    |
/// |           |                    | work it has: threads, busy ones and waiting closures, 16, 16, 32 bits |
///
/// Lines beyond the first 4,096 have no ring: their processes' requests are not seen.
///
/// | word        | meaning                                                      |
/// |-------------|--------------------------------------------------------------|
/// | ready spawn | the spawn number of a process that is ready                  |
/// | connections | how many it serves                                           |
/// | requests    | how many it has served                                       |
/// | heartbeat   | changes with each heartbeat                                  |
/// | extension   | it may be silent until then, monotonic                       |
/// | refusals    | how many requests it has refused: their label is in quarantine |
/// | served      | a bit for each listener that it serves, by the listener's number |
/// | HTTP        | those of them that it serves by HTTP                         |
///
/// Every process has its own line, even while another process of its slot lives. It writes there and then rings its
/// doorbell. The supervisor clears a line when it has reaped the process. Each writer has a cache line, so that an
/// update by one process does not slow another.
///
/// The mapping is the same for all children, and the supervisor trusts no child: each word may hold anything at any
/// time. Its readers load it once, and no value may trap, overflow, index or name a process. What the supervisor alone
/// says is in `orders`, where children cannot write.
package final class Scoreboard: Sendable {
    private static let lineSize = 64
    private static let dumpSize = 1_024
    private static let durationsSize = 256
    /// From 16 µs to 67 s, in nanoseconds. A request on the loop that waits for nothing takes some microseconds.
    package static let requestDurations = DoublingRanges(first: 16_000, boundedCount: 23)
    /// With a ring for each of 40,000 lines every process would have half a gigabyte more of addresses.
    private static let mostRings = 4_096
    private let mapping: SharedMapping
    let lines: Int
    package let orders: SupervisorOrders

    private enum Word {
        static let readySpawn = 0
        static let connections = 1
        static let requests = 2
        static let heartbeat = 3
        static let extension_ = 4
        static let refusals = 5
        static let served = 6
        static let servedByHTTP = 7
        static let count = 8
    }

    /// Its memory as a file, for the next image of this program.
    let file: MemoryFile

    private static func controlsStart(_ lines: Int) -> Int { (lines * lineSize + 4_095) & ~4_095 }

    private static func dumpsStart(_ lines: Int) -> Int {
        (controlsStart(lines) + lines * ManagedOrderRing.byteCount + 4_095) & ~4_095
    }

    private static func durationsStart(_ lines: Int) -> Int { (dumpsStart(lines) + lines * dumpSize + 4_095) & ~4_095 }

    private static func ringsStart(_ lines: Int) -> Int {
        (durationsStart(lines) + lines * durationsSize + 4_095) & ~4_095
    }

    private static func loopsStart(_ lines: Int) -> Int {
        (ringsStart(lines) + min(lines, mostRings) * RequestRingLayout.byteCount + 4_095) & ~4_095
    }

    private static func byteCount(lines: Int) -> Int { loopsStart(lines) + lines * lineSize }

    convenience init(lines: Int) throws(SystemError) {
        let file = try MemoryFile(name: "prefork-scoreboard", byteCount: Self.byteCount(lines: lines))
        try self.init(file, orders: SupervisorOrders(lines: lines), lines: lines)
    }

    /// - Throws: EPERM, EINVAL for a file that is not one of so many lines.
    convenience init(inherited number: Int32, orders: Int32, lines: Int) throws(SystemError) {
        let file = MemoryFile(owning: Descriptor(owning: number))
        let orders = try SupervisorOrders(inherited: orders, lines: lines)
        guard try file.sealedByteCount() == Self.byteCount(lines: lines) else {
            throw SystemError("mmap", .invalidArgument, on: "the scoreboard of the previous image")
        }
        try self.init(file, orders: orders, lines: lines)
    }

    private init(_ file: consuming MemoryFile, orders: SupervisorOrders, lines: Int) throws(SystemError) {
        self.lines = lines
        self.orders = orders
        // The previous image may not have allowed it again.
        file.keepWhole(false)
        mapping = try SharedMapping(file, byteCount: Self.byteCount(lines: lines))
        self.file = file
        keepWhole(true)
    }

    /// No child can make holes in the memory and so have the supervisor wait for each word. Before another image maps
    /// it, which may be of a version that does not know this, it is allowed again.
    func keepWhole(_ on: Bool) { file.keepWhole(on) }

    /// Proof: every offset is a line's start within the mapping, zeroed by the kernel, eight-byte aligned, and only
    /// ever used as this atomic word. The mapping lives as long as the object.
    private func word(_ line: Int, _ index: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        check(line)
        return (mapping.base + line * Self.lineSize + index * 8).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    private func check(_ line: Int) {
        // Lines are handed out by the supervisor, from 0 ..< lines, and never read from this memory.
        precondition(line >= 0 && line < lines, "scoreboard line \(line)")
    }

    private func load(_ line: Int, _ index: Int) -> UInt64 { word(line, index).pointee.load(ordering: .relaxed) }

    private func store(_ line: Int, _ index: Int, _ value: UInt64) {
        word(line, index).pointee.store(value, ordering: .relaxed)
    }

    /// Any of the line's eight words, as a child may write it. For tests.
    func store(rawWord value: UInt64, index: Int, line: Int) { store(line, index & 7, value) }

    func controls(line: Int) -> ManagedOrderRing {
        check(line)
        return ManagedOrderRing(base: mapping.base + Self.controlsStart(lines) + line * ManagedOrderRing.byteCount)
    }

    /// What the line's worker says of its run of a once-task: the second word of its controls, see `OnceAnswer`.
    func onceAnswer(line: Int) -> UInt64 { onceWord(line).pointee.load(ordering: .acquiring) }

    func answerRun(_ word: UInt64, line: Int) { onceWord(line).pointee.store(word, ordering: .releasing) }

    /// Proof: `controls` gives 192 bytes, of which the ring leaves the bytes 8 ..< 64 unused.
    private func onceWord(_ line: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (controls(line: line).base + 8).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// Where the line's process writes its stack, as words. Its content is as untrusted as everything here.
    package func dumpArea(line: Int) -> UnsafeMutableRawBufferPointer {
        check(line)
        let start = mapping.base + Self.dumpsStart(lines) + line * Self.dumpSize
        return UnsafeMutableRawBufferPointer(start: start, count: Self.dumpSize)
    }

    /// Where the line's process writes what it knows of its crash, or nil if there is no room for it.
    package func crashArea(line: Int) -> UnsafeMutableRawPointer? {
        guard StackDump.byteCount + CrashMark.byteCount <= Self.dumpSize else { return nil }
        return dumpArea(line: line).baseAddress.map { $0 + StackDump.byteCount }
    }

    /// How long the line's process took for its requests.
    func requestDurations(line: Int) -> HistogramWords {
        check(line)
        let ranges = Self.requestDurations
        precondition(HistogramWords.byteCount(ranges) <= Self.durationsSize, "\(ranges.count) ranges of durations")
        return HistogramWords(
            mapping.base + Self.durationsStart(lines) + line * Self.durationsSize, ranges)
    }

    /// Where the line's process marks its requests, as untrusted as everything here. If nil, the line has no place for
    /// it.
    func requestRing(line: Int) -> UnsafeMutableRawPointer? {
        check(line)
        if line >= Self.mostRings { return nil }
        return mapping.base + Self.ringsStart(lines) + line * RequestRingLayout.byteCount
    }

    /// One of the words of the line's loop. Proof: as of `word`.
    private func loopWord(_ line: Int, _ index: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        check(line)
        let start = mapping.base + Self.loopsStart(lines) + line * Self.lineSize
        return (start + index * 8).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// Where the line's process says when its loop is in a turn. Valid for the life of a child.
    func turnWord(line: Int) -> UnsafeMutablePointer<Atomic<UInt64>> { loopWord(line, 0) }

    /// See `LoopMark`.
    func turn(line: Int) -> UInt64 { turnWord(line: line).pointee.load(ordering: .relaxed) }

    func blockingLoad(line: Int) -> ThreadPool.Load {
        let word = loopWord(line, 1).pointee.load(ordering: .relaxed)
        return ThreadPool.Load(
            threads: Int(word & 0xFFFF), busy: Int(word >> 16 & 0xFFFF), queued: Int(word >> 32))
    }

    func setBlockingLoad(_ load: ThreadPool.Load, line: Int) {
        let word = UInt64(UInt16(clamping: load.threads)) | UInt64(UInt16(clamping: load.busy)) << 16
            | UInt64(UInt32(clamping: load.queued)) << 32
        loopWord(line, 1).pointee.store(word, ordering: .relaxed)
    }

    /// - Returns: whether a bit of it is a new one.
    func noteServing(_ listeners: ServedListeners, line: Int) -> Bool {
        let before = (
            word(line, Word.served).pointee.bitwiseOr(listeners.all, ordering: .relaxed).oldValue,
            word(line, Word.servedByHTTP).pointee.bitwiseOr(listeners.byHTTP, ordering: .relaxed).oldValue
        )
        return before.0 | listeners.all != before.0 || before.1 | listeners.byHTTP != before.1
    }

    func servedListeners(line: Int) -> ServedListeners {
        ServedListeners(all: load(line, Word.served), byHTTP: load(line, Word.servedByHTTP))
    }

    func readySpawn(line: Int) -> UInt64 { word(line, Word.readySpawn).pointee.load(ordering: .acquiring) }

    func setReadySpawn(_ spawn: UInt64, line: Int) {
        word(line, Word.readySpawn).pointee.store(spawn, ordering: .releasing)
    }

    func connections(line: Int) -> Int { Int(clamping: load(line, Word.connections)) }

    func setConnections(_ count: Int, line: Int) { store(line, Word.connections, UInt64(clamping: count)) }

    func requests(line: Int) -> UInt64 { load(line, Word.requests) }

    /// Only the line's process counts, on one thread or several.
    func countRequests(_ count: UInt64, line: Int) {
        word(line, Word.requests).pointee.wrappingAdd(count, ordering: .relaxed)
    }

    func refusals(line: Int) -> UInt64 { load(line, Word.refusals) }

    /// As `countRequests`.
    func countRefusal(line: Int) { word(line, Word.refusals).pointee.wrappingAdd(1, ordering: .relaxed) }

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

    /// For the next process of the line.
    func clear(line: Int) {
        for index in 1..<Word.count { store(line, index, 0) }
        setReadySpawn(0, line: line)
        for index in 0..<2 { loopWord(line, index).pointee.store(0, ordering: .relaxed) }
        requestDurations(line: line).clear()
        controls(line: line).clear()
        answerRun(0, line: line)
        if let area = crashArea(line: line) { CrashRecord.clear(area) }
        if let ring = requestRing(line: line) { RequestRingReading.clear(ring) }
        orders.setOrder(.stay, line: line)
    }

    /// Whether a worker serves at least one connection more than the average of the ready workers. In a large pool, the
    /// average is that of the 64 workers after it.
    ///
    /// Up to two connections are no load to share: where each request comes on its own connection, a worker's count is
    /// the one in hand, and standing back for it would halve the throughput (measured: 14,100 instead of 21,000
    /// connections/s with two workers).
    func hasMoreConnectionsThanAverage(line: Int) -> Bool {
        let own = load(line, Word.connections)
        guard own > 2 else { return false }
        let count = orders.linesInUse
        var workers: UInt64 = 0
        var connections: UInt64 = 0
        for offset in 0..<min(count, 64) {
            let other = (line + offset) % count
            guard load(other, Word.readySpawn) != 0, !orders.isLeaving(line: other) else { continue }
            workers += 1
            // Another worker's word, whatever it has in it: a sum of 64 of them must not trap.
            connections += min(load(other, Word.connections), UInt64(UInt32.max))
        }
        return min(own, UInt64(UInt32.max)) * workers >= connections + workers
    }
}
