// The supervisor's own memory of the metrics: which series there are, and what the dead have counted.

import PreforkSystem
import Synchronization

/// A memory file that only the supervisor has. It passes from image to image of the program, forth and back, and with
/// systemd's file descriptor store to the next start of the service: whatever ends the supervisor, the sums are there.
///
/// | bytes                     | what                                                                            |
/// |---------------------------|---------------------------------------------------------------------------------|
/// | 0 ..< 4,096               | the head: `Word`                                                                |
/// | 4,096 ..< 1,052,672       | 64 bytes for each line: the process that counts there, the series that it knew  |
/// |                           | at its fork, its name                                                           |
/// | 1,052,672 ..< 1,314,816   | sums of the dead: words of counters and histograms, by `MetricTable`            |
/// | 1,314,816 ..< 1,839,104   | the journal: numbers of words and their new values                              |
/// | 1,839,104 ..< 6,033,408   | layouts: for each image of the program its series, in the order of their words  |
/// | 6,033,408 ..< 14,422,016  | series: when each one was made, whether it is still one, its description        |
/// | behind those              | two notes of 64 KiB, of which the head says which one counts: the pool's own    |
/// |                           | counters, as `PoolCounters` writes them                                         |
///
/// What a dead process has counted is added in steps that can be repeated. The journal gets the new sums and then the
/// line's number. The sums are written, the line is cleared, and the journal is empty again. A supervisor that is killed
/// in between leaves a journal, and the next one repeats these steps: nothing is added twice or not at all.
final class MetricSums {
    enum Word {
        static let magic = 0
        static let entryBytes = 1
        static let layoutCount = 2
        /// 1 + the line that is being added. 0: none is.
        static let journalLine = 3
        static let journalCount = 4
        static let created = 5
        /// No line from this one on was ever used.
        static let lineCount = 6
        /// The length of the note that counts, and in the upper half how often one was written.
        static let note = 7
    }

    private static let magic: UInt64 = 0x3153_6B72_6F66_7250
    private static let linesStart = 4_096
    private static let lineBytes = 64
    private static let valuesStart = linesStart + MetricLines.most * lineBytes
    static let mostValues = 32_768
    private static let journalStart = valuesStart + mostValues * 8
    private static let layoutsStart = journalStart + mostValues * 16
    static let layoutCapacity = 1 << 20
    private static let entriesStart = layoutsStart + layoutCapacity * 4
    static let entriesCapacity = 8 << 20
    private static let notesStart = entriesStart + entriesCapacity
    private static let noteCapacity = 64 << 10
    private static let byteCount = notesStart + 2 * noteCapacity

    let file: MemoryFile
    private let mapping: SharedMapping

    convenience init() throws(SystemError) {
        let file = try MemoryFile(name: "prefork-metric-sums", byteCount: Self.byteCount, mode: 0o400)
        try self.init(file)
        self[Word.created] = (Double(WallClock.milliseconds) / 1_000).bitPattern
        self[Word.magic] = Self.magic
    }

    /// - Throws: EPERM, EINVAL for a file that is none.
    convenience init(inherited number: Int32) throws(SystemError) {
        let file = MemoryFile(owning: Descriptor(owning: number))
        guard try file.sealedByteCount() == Self.byteCount else {
            throw SystemError("mmap", .invalidArgument, on: "the sums of the metrics")
        }
        try self.init(file)
        guard self[Word.magic] == Self.magic else {
            throw SystemError("mmap", .invalidArgument, on: "the sums of the metrics")
        }
    }

    private init(_ file: consuming MemoryFile) throws(SystemError) {
        mapping = try SharedMapping(file, byteCount: Self.byteCount)
        try mapping.keepFromChildren()
        mapping.keepFromDumps()
        self.file = file
    }

    /// Proof: offsets are those of the areas above, checked by each caller's limit, aligned to eight bytes, and used as
    /// atomic words alone: their order is what a killed supervisor leaves.
    private func word(at offset: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        precondition(offset >= 0 && offset + 8 <= Self.byteCount, "metric sums at \(offset)")
        return (mapping.base + offset).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    subscript(head index: Int) -> UInt64 {
        get { word(at: index * 8).pointee.load(ordering: .acquiring) }
        set { word(at: index * 8).pointee.store(newValue, ordering: .releasing) }
    }

    private subscript(index: Int) -> UInt64 {
        get { self[head: index] }
        set { self[head: index] = newValue }
    }

    /// When the first supervisor began, in seconds since 1970.
    var created: Double {
        let time = Double(bitPattern: self[Word.created])
        return time.isFinite ? time : 0
    }

    // Sums

    func value(_ index: Int) -> UInt64 { word(at: Self.valuesStart + index * 8).pointee.load(ordering: .relaxed) }

    func setValue(_ value: UInt64, _ index: Int) {
        word(at: Self.valuesStart + index * 8).pointee.store(value, ordering: .relaxed)
    }

    /// Adds a line's share for good.
    ///
    /// - Parameters:
    ///   - changes: words and their new values, in `0 ..< mostValues`, each word once.
    ///   - line: the line with the share.
    ///   - clear: makes the line all zeroes. Called again by the next image if this one ends meanwhile.
    func commit(_ changes: [(index: Int, value: UInt64)], line: Int, clear: (Int) -> Void) {
        beginCommit(changes, line: line)
        finishCommit(clear)
    }

    /// From here on the share counts, whatever ends this process.
    func beginCommit(_ changes: [(index: Int, value: UInt64)], line: Int) {
        for (number, change) in changes.prefix(Self.mostValues).enumerated() {
            let offset = Self.journalStart + number * 16
            word(at: offset).pointee.store(UInt64(change.index), ordering: .relaxed)
            word(at: offset + 8).pointee.store(change.value, ordering: .relaxed)
        }
        self[Word.journalCount] = UInt64(min(changes.count, Self.mostValues))
        self[Word.journalLine] = UInt64(line) + 1
    }

    /// What the previous supervisor may not have finished.
    func finishCommit(_ clear: (Int) -> Void) {
        let line = Int(clamping: self[Word.journalLine]) - 1
        guard (0..<MetricLines.most).contains(line) else { return }
        for number in 0..<min(Int(clamping: self[Word.journalCount]), Self.mostValues) {
            let offset = Self.journalStart + number * 16
            let index = Int(clamping: word(at: offset).pointee.load(ordering: .relaxed))
            guard index < Self.mostValues else { continue }
            setValue(word(at: offset + 8).pointee.load(ordering: .relaxed), index)
        }
        clear(line)
        self[Word.journalLine] = 0
    }

    // Notes

    /// What the supervisor has noted last: a supervisor that is killed while it writes leaves the one before.
    var note: [UInt8] {
        get {
            let word = self[Word.note]
            let length = min(Int(word & 0xFFFF_FFFF), Self.noteCapacity)
            let place = mapping.base + Self.notesStart + Int(word >> 32 & 1) * Self.noteCapacity
            return Array(UnsafeRawBufferPointer(start: place, count: length))
        }
        set {
            guard newValue.count <= Self.noteCapacity else { return }
            let turn = (self[Word.note] >> 32) &+ 1
            let place = mapping.base + Self.notesStart + Int(turn & 1) * Self.noteCapacity
            place.copyMemory(from: newValue, byteCount: newValue.count)
            self[Word.note] = turn << 32 | UInt64(newValue.count)
        }
    }

    // Lines

    /// Which process counts on a line, and by which layout.
    struct Line: Equatable {
        /// 0: no process.
        var pid: Int32
        /// Series that it knew when it was forked.
        var known: Int
        /// Where its layout begins.
        var layout: Int
        /// As the label of `SharedGauge.Aggregation.live` has it, at most 40 bytes.
        var name: String
    }

    private static let nameLimit = 40

    func line(_ number: Int) -> Line {
        let offset = Self.linesStart + number * Self.lineBytes
        let first = word(at: offset).pointee.load(ordering: .acquiring)
        guard first != 0 else { return Line(pid: 0, known: 0, layout: 0, name: "") }
        let layout = min(Int(clamping: word(at: offset + 8).pointee.load(ordering: .relaxed)), Self.layoutCapacity)
        let known = min(Int(first >> 32), MetricLayout.words)
        let bytes = UnsafeRawBufferPointer(start: mapping.base + offset + 16, count: Self.nameLimit).prefix { $0 != 0 }
        return Line(
            pid: Int32(truncatingIfNeeded: first), known: layout + known <= Self.layoutCapacity ? known : 0,
            layout: layout, name: String(decoding: bytes, as: UTF8.self))
    }

    func setLine(_ number: Int, _ line: Line) {
        let offset = Self.linesStart + number * Self.lineBytes
        let area = UnsafeMutableRawBufferPointer(start: mapping.base + offset + 16, count: Self.nameLimit)
        for index in area.indices { area[index] = 0 }
        var count = 0
        // Whole characters only.
        for character in line.name where count + character.utf8.count <= Self.nameLimit {
            for byte in character.utf8 {
                area[count] = byte
                count += 1
            }
        }
        word(at: offset + 8).pointee.store(UInt64(line.layout), ordering: .relaxed)
        word(at: offset).pointee.store(
            UInt64(UInt32(bitPattern: line.pid)) | UInt64(line.known) << 32, ordering: .releasing)
    }

    func freeLine(_ number: Int) { word(at: Self.linesStart + number * Self.lineBytes).pointee.store(0, ordering: .releasing) }

    // Layouts

    /// A series' number in the table, and how many words it has in a line.
    func layout(_ index: Int) -> (entry: Int, words: Int) {
        let word = mapping.base.load(fromByteOffset: Self.layoutsStart + index * 4, as: UInt32.self)
        return (Int(word & 0xFF_FFFF), Int(word >> 24))
    }

    func setLayout(_ index: Int, entry: Int, words: Int) {
        precondition((0..<Self.layoutCapacity).contains(index), "layout \(index)")
        mapping.base.storeBytes(
            of: UInt32(words) << 24 | UInt32(entry), toByteOffset: Self.layoutsStart + index * 4, as: UInt32.self)
    }

    // Series

    private static let entryHead = 9

    /// Appends a series that counts from now on.
    ///
    /// - Returns: false when there is no room.
    func append(_ description: MetricDescription, created: Double) -> Bool {
        let used = entryBytes
        let bytes = description.bytes
        guard used + Self.entryHead + bytes.count <= Self.entriesCapacity else { return false }
        let place = mapping.base + Self.entriesStart + used
        place.storeBytes(of: created.bitPattern, as: UInt64.self)
        place.storeBytes(of: 0, toByteOffset: 8, as: UInt8.self)
        (place + Self.entryHead).copyMemory(from: bytes, byteCount: bytes.count)
        self[Word.entryBytes] = UInt64(used + Self.entryHead + bytes.count)
        return true
    }

    /// Another series has its name.
    func kill(at place: Int) { mapping.base.storeBytes(of: 1, toByteOffset: Self.entriesStart + place + 8, as: UInt8.self) }

    struct Entry {
        let description: MetricDescription
        let created: Double
        let isDead: Bool
        let place: Int
    }

    /// Where the next one goes. Beyond the capacity if another process has written there.
    var entryBytes: Int { min(Int(clamping: self[Word.entryBytes]), Self.entriesCapacity + 1) }

    /// All series. If nil, this is not what a supervisor has written.
    func entries() -> [Entry]? {
        let used = entryBytes
        guard used <= Self.entriesCapacity else { return nil }
        let bytes = Array(UnsafeRawBufferPointer(start: mapping.base + Self.entriesStart, count: used))
        var (entries, place): ([Entry], Int) = ([], 0)
        while place < used {
            var reader = ByteFields(bytes[place...])
            guard let created: UInt64 = reader.integer(), let state = reader.byte(), let length: UInt32 = reader.integer()
            else { return nil }
            let begin = place + Self.entryHead + 4
            guard Int(length) <= MetricDescription.bytesLimit, begin + Int(length) <= used,
                let description = MetricDescription(bytes[begin..<begin + Int(length)])
            else { return nil }
            let time = Double(bitPattern: created)
            entries.append(
                Entry(description: description, created: time.isFinite ? time : 0, isDead: state != 0, place: place))
            place = begin + Int(length)
        }
        return entries
    }
}
