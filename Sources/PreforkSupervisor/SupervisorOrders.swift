// What a supervisor tells its children through shared memory that only it can write.

import PreforkSystem
import Synchronization

/// Words of the supervisor that its children read.
///
/// | bytes         | word         | meaning                                                            |
/// |---------------|--------------|--------------------------------------------------------------------|
/// | 0 ..< 8       | service stops| 1: the whole pool is ending                                        |
/// | 8 ..< 16      | lines in use | no line from this one on is used                                   |
/// | 16 ..< 24     | deaths       | how many children were ended by a signal so far                    |
/// | 24 ..< 32     | image        | another number in each image of the program (an upgrade in place)  |
/// | 64 + 8 × line | leaving      | 1: that line's process was asked to end; 2: it is known to be ready |
///
/// The memory file has mode 0400. Each child maps it anew through a descriptor that only reads, at the same address,
/// before it gives up its rights (`becomeReadOnly`). A process of another user can then neither write the words nor open
/// the file for writing.
package final class SupervisorOrders: Sendable {
    private static let headSize = 64
    private let mapping: SharedMapping
    private let lines: Int
    /// Its memory as a file, for the next image of this program.
    let file: MemoryFile
    /// What children map it through. Nil without /proc: they map the file itself, read-only until they say otherwise.
    private let readingFile: Descriptor?

    private enum Word {
        static let serviceStops = 0
        static let linesInUse = 1
        static let deaths = 2
        static let image = 3
    }

    private static func byteCount(lines: Int) -> Int { headSize + 8 * lines }

    convenience init(lines: Int) throws(SystemError) {
        let file = try MemoryFile(name: "prefork-orders", byteCount: Self.byteCount(lines: lines), mode: 0o400)
        try self.init(file, lines: lines)
    }

    /// - Throws: EPERM, EINVAL for a file that is not one of so many lines.
    convenience init(inherited number: Int32, lines: Int) throws(SystemError) {
        let file = MemoryFile(owning: Descriptor(owning: number))
        guard try file.sealedByteCount() == Self.byteCount(lines: lines) else {
            throw SystemError("mmap", .invalidArgument, on: "the orders of the image before")
        }
        try self.init(file, lines: lines)
    }

    private init(_ file: consuming MemoryFile, lines: Int) throws(SystemError) {
        self.lines = lines
        mapping = try SharedMapping(file, byteCount: Self.byteCount(lines: lines))
        readingFile = try? file.reopenedForReading()
        self.file = file
        word(Word.image).pointee.wrappingAdd(1, ordering: .relaxed)
    }

    /// Nil when children cannot make the words writable again.
    var warning: LogLine? {
        if readingNumber != nil { return nil }
        return LogLine(.warning, "without /proc, children could write the words that only the supervisor may write")
    }

    private var readingNumber: Int32? {
        switch readingFile {
        case .some(let descriptor): descriptor.number
        case nil: nil
        }
    }

    /// What a child must not keep.
    var descriptors: [Int32] { [file.descriptor.number] + (readingNumber.map { [$0] } ?? []) }

    /// In a child, while it has its descriptors and its rights.
    func becomeReadOnly() throws(SystemError) {
        try mapping.becomeReadOnly(through: readingNumber ?? file.descriptor.number)
    }

    /// Proof: every offset is one of the head's words or a line's within the mapping, zeroed by the kernel, eight-byte
    /// aligned, and only ever used as this atomic word; the mapping lives as long as the object.
    private func word(_ index: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (mapping.base + index * 8).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    private func leaving(_ line: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        // Lines are the supervisor's own numbers, or the reader's own line.
        precondition(line >= 0 && line < lines, "line \(line)")
        return word(Self.headSize / 8 + line)
    }

    package var serviceStops: Bool {
        get { word(Word.serviceStops).pointee.load(ordering: .acquiring) != 0 }
        set { word(Word.serviceStops).pointee.store(newValue ? 1 : 0, ordering: .releasing) }
    }

    var linesInUse: Int {
        get { min(Int(clamping: word(Word.linesInUse).pointee.load(ordering: .relaxed)), lines) }
        set { word(Word.linesInUse).pointee.store(UInt64(newValue), ordering: .relaxed) }
    }

    /// How many children were ended by a signal: what they held in shared memory may have to be put in order.
    package var deaths: UInt64 { word(Word.deaths).pointee.load(ordering: .acquiring) }

    func countDeath() { word(Word.deaths).pointee.wrappingAdd(1, ordering: .releasing) }

    var image: UInt64 { word(Word.image).pointee.load(ordering: .relaxed) }

    func isLeaving(line: Int) -> Bool { leaving(line).pointee.load(ordering: .acquiring) == 1 }

    func setLeaving(_ isLeaving: Bool = true, line: Int) {
        leaving(line).pointee.store(isLeaving ? 1 : 0, ordering: .releasing)
    }

    /// Whether the supervisor has heard that the line's process is ready, or has asked it to end.
    func isHeard(line: Int) -> Bool { leaving(line).pointee.load(ordering: .acquiring) != 0 }

    func noteReady(line: Int) {
        if leaving(line).pointee.load(ordering: .relaxed) == 0 { leaving(line).pointee.store(2, ordering: .releasing) }
    }
}
