// Orders of a supervisor to its children, in shared memory that only the supervisor can write.

package import PreforkSystem
import Synchronization

/// Words of the supervisor that its children read.
///
/// | bytes         | word         | meaning                                                            |
/// |---------------|--------------|--------------------------------------------------------------------|
/// | 0 ..< 8       | service stops| 1: the whole pool is ending                                        |
/// | 8 ..< 16      | lines in use | no line from this one on is used                                   |
/// | 16 ..< 24     | deaths       | how many children were ended by a signal so far                    |
/// | 24 ..< 32     | image        | another number in each image of the program (an upgrade in place)  |
/// | 32 ..< 56     | crashed      | processes that have crashed and not ended (`CrashedProcesses`)     |
/// | 56 ..< 64     | owns locks   | 1: the supervisor itself may own locks of stores, queues, channels |
/// | 64 + 8 × line | leaving      | what that line's process was told: `Told`;                         |
/// |               |              | from bit 8 on: its task ID plus one, while it is one of the workers  |
/// |               |              | that share out the accept queues without a worker (`AcceptDuties`)   |
/// | behind those  | quarantine   | labels of requests that are refused: a `QuarantineList`            |
/// | behind that   | promises     | which slots are filled again: `SlotPromises`                       |
/// | behind that   | watch        | odd: the supervisor watches no loop until one begins a turn (`LoopMark`) |
///
/// The memory file has mode 0400, and the supervisor has it mapped twice. Children inherit the mapping that was made
/// through a read-only descriptor. The writable mapping stays behind at each fork (MADV_DONTFORK), so that a child need
/// not remove it. A process of another user can neither write the words nor open the file for writing.
package final class SupervisorOrders: Sendable {
    private static let headSize = 64
    /// The supervisor's alone.
    private let writing: SharedMapping
    private let reading: SharedMapping
    /// Whether children could make their mapping writable.
    private let isWeak: Bool
    private let lines: Int
    /// Its memory as a file, for the next image of this program.
    let file: MemoryFile

    private enum Word {
        static let serviceStops = 0
        static let linesInUse = 1
        static let deaths = 2
        static let image = 3
        static let crashed = 4
        static let ownsLocks = 7
    }

    private static func quarantineStart(lines: Int) -> Int { headSize + 8 * lines }

    private static func promisesStart(lines: Int) -> Int {
        (quarantineStart(lines: lines) + QuarantineList.byteCount + 7) & ~7
    }

    /// Workers and managed processes: a table of the latter has both.
    private static let mostPromises = 2 * WorkerCount.maximum

    private static func watchStart(lines: Int) -> Int {
        (promisesStart(lines: lines) + SlotPromises.byteCount(capacity: mostPromises) + 63) & ~63
    }

    private static func byteCount(lines: Int) -> Int { watchStart(lines: lines) + 64 }

    convenience init(lines: Int) throws(SystemError) {
        let file = try MemoryFile(name: "prefork-orders", byteCount: Self.byteCount(lines: lines), mode: 0o400)
        try self.init(file, lines: lines)
    }

    /// - Throws: EPERM, EINVAL for a file that is not one of so many lines.
    convenience init(inherited number: Int32, lines: Int) throws(SystemError) {
        let file = MemoryFile(owning: Descriptor(owning: number))
        guard try file.sealedByteCount() == Self.byteCount(lines: lines) else {
            throw SystemError("mmap", .invalidArgument, on: "the orders of the previous image")
        }
        try self.init(file, lines: lines)
    }

    private init(_ file: consuming MemoryFile, lines: Int) throws(SystemError) {
        self.lines = lines
        let byteCount = Self.byteCount(lines: lines)
        writing = try SharedMapping(file, byteCount: byteCount)
        try writing.keepFromChildren()
        var isWeak = true
        do throws(SystemError) {
            let readingFile = try file.reopenedForReading()
            reading = try SharedMapping(reading: readingFile.number, byteCount: byteCount)
            isWeak = false
        } catch {
            // Without /proc: read-only until the child says otherwise.
            reading = try SharedMapping(reading: file.descriptor.number, byteCount: byteCount)
        }
        self.isWeak = isWeak
        self.file = file
        word(Word.image, of: writing).pointee.wrappingAdd(1, ordering: .relaxed)
        CrashedProcesses.watch(word(Word.crashed, of: reading))
        // An upgrade ends the quarantine: the new program may have mended what crashed.
        quarantineForWriting.set([])
        promisesForWriting.begin(as: .current)
        SlotPromises.watch(promises)
    }

    deinit {
        CrashedProcesses.forget(word(Word.crashed, of: reading))
        SlotPromises.forget(promises)
    }

    /// The labels that are refused, for the processes that ask. Valid for the life of a child.
    package var quarantine: QuarantineList { QuarantineList(at: reading.base + Self.quarantineStart(lines: lines)) }

    /// In the supervisor only.
    var quarantineForWriting: QuarantineList { QuarantineList(at: writing.base + Self.quarantineStart(lines: lines)) }

    private var promises: SlotPromises {
        SlotPromises(at: reading.base + Self.promisesStart(lines: lines), capacity: Self.mostPromises)
    }

    /// In the supervisor only.
    var promisesForWriting: SlotPromises {
        SlotPromises(at: writing.base + Self.promisesStart(lines: lines), capacity: Self.mostPromises)
    }

    /// Nil when children cannot make the words writable again.
    var warning: LogLine? {
        if !isWeak { return nil }
        return LogLine(.warning, "without /proc, children could write the words that only the supervisor may write")
    }

    /// What a child must not keep.
    var descriptor: Int32 { file.descriptor.number }

    /// Proof: every offset is one of the head's words or a line's within both mappings, zeroed by the kernel,
    /// eight-byte aligned, and only ever used as this atomic word. The mappings live as long as the object, of which no
    /// child frees its copy (`DescriptorHolders.leave`).
    private func word(_ index: Int, of mapping: borrowing SharedMapping) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (mapping.base + index * 8).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    private func read(_ index: Int) -> UInt64 { word(index, of: reading).pointee.load(ordering: .acquiring) }

    private func write(_ value: UInt64, to index: Int) {
        word(index, of: writing).pointee.store(value, ordering: .releasing)
    }

    /// Whether loops wake the supervisor when they begin a turn: an odd number. Children only read it.
    var watchWord: UnsafeMutablePointer<Atomic<UInt64>> { word(Self.watchStart(lines: lines) / 8, of: reading) }

    /// In the supervisor only.
    func watchLoops(untilFirstTurn asks: Bool) {
        let word = word(Self.watchStart(lines: lines) / 8, of: writing)
        let number = word.pointee.load(ordering: .relaxed)
        // A number that no process has answered yet.
        if (number & 1 == 1) != asks { word.pointee.store(number &+ 1, ordering: .releasing) }
    }

    private func leaving(_ line: Int) -> Int {
        // Lines are the supervisor's own numbers, or the reader's own line.
        precondition(line >= 0 && line < lines, "line \(line)")
        return Self.headSize / 8 + line
    }

    package var serviceStops: Bool {
        get { read(Word.serviceStops) != 0 }
        set { write(newValue ? 1 : 0, to: Word.serviceStops) }
    }

    var linesInUse: Int {
        get { min(Int(clamping: read(Word.linesInUse)), lines) }
        set { write(UInt64(newValue), to: Word.linesInUse) }
    }

    /// How many children were ended by a signal: what they held in shared memory may have to be put in order.
    package var deaths: UInt64 { read(Word.deaths) }

    func countDeath() { word(Word.deaths, of: writing).pointee.wrappingAdd(1, ordering: .releasing) }

    /// Names a process that has crashed, if there is a word left for it.
    func noteCrash(of pid: Int32) {
        for index in 0..<CrashedProcesses.wordCount where read(Word.crashed + index) == 0 {
            return write(UInt64(pid), to: Word.crashed + index)
        }
    }

    /// That process has ended.
    func forgetCrash(of pid: Int32) {
        for index in 0..<CrashedProcesses.wordCount where read(Word.crashed + index) == UInt64(pid) {
            write(0, to: Word.crashed + index)
        }
    }

    /// Whether the supervisor's program has called a store, a queue or a channel since supervision began.
    var ownsLocks: Bool {
        get { read(Word.ownsLocks) != 0 }
        set { write(newValue ? 1 : 0, to: Word.ownsLocks) }
    }

    var image: UInt64 { read(Word.image) }

    /// What a process was told, by numbers that the next image of the program knows, too.
    private enum Told {
        static let nothing: UInt64 = 0
        static let leave: UInt64 = 1
        /// It is known to be ready.
        static let ready: UInt64 = 2
        static let giveUp: UInt64 = 3
        static let makeRoom: UInt64 = 4
        static let succeeded: UInt64 = 5
    }

    /// What concerns the line's process alone.
    private func state(line: Int) -> UInt64 { read(leaving(line)) & 0xFF }

    func isLeaving(line: Int) -> Bool { order(line: line) != .stay }

    /// The order for the line's process.
    func order(line: Int) -> ProcessSlot.Order {
        switch state(line: line) {
        case Told.leave: .leave
        case Told.giveUp: .giveUp
        case Told.makeRoom: .makeRoom
        case Told.succeeded: .succeeded
        default: .stay
        }
    }

    func setOrder(_ order: ProcessSlot.Order, line: Int) {
        let told =
            switch order {
            case .stay: Told.nothing
            case .leave, .end: Told.leave
            case .giveUp: Told.giveUp
            case .makeRoom: Told.makeRoom
            case .succeeded: Told.succeeded
            }
        // It has no share of the accept queues from here on.
        write(told, to: leaving(line))
    }

    /// Whether the supervisor has heard that the line's process is ready, or has asked it to end.
    func isHeard(line: Int) -> Bool { state(line: line) != Told.nothing }

    func noteReady(line: Int) {
        if state(line: line) == Told.nothing { write(read(leaving(line)) | Told.ready, to: leaving(line)) }
    }

    /// The task IDs of the workers that share out the accept queues without a worker, ascending. One that was asked to
    /// end is not among them from that moment on.
    package var acceptingTaskIDs: [Int] {
        let found = (0..<linesInUse).compactMap { line -> Int? in
            let word = read(leaving(line)) >> 8
            return word == 0 ? nil : Int(clamping: word) - 1
        }
        return Set(found).sorted()
    }

    /// - Parameter taskID: if nil, the line's process does not accept.
    func setAccepting(_ taskID: Int?, line: Int) {
        let word = state(line: line) | UInt64((taskID ?? -1) + 1) << 8
        if word != read(leaving(line)) { write(word, to: leaving(line)) }
    }
}
