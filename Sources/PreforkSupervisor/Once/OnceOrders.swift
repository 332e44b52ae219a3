// Runs of once-tasks in workers: how the supervisor orders them, in memory that only it can write.

package import PreforkSystem
import Synchronization

/// Eight words for each line of the scoreboard: the run that the line's worker must do.
///
/// | word | what                                                                  |
/// |------|-----------------------------------------------------------------------|
/// | 0    | bits 0 ..< 48: the number of the run, 0 for none. 48 ..< 63: which    |
/// |      | task it is of, by its place among those in workers. 63: it must end   |
/// | 1    | the number of the due time                                            |
/// | 2    | for how many due times it stands                                      |
/// | 3    | which attempt it is                                                   |
/// | 4    | the due time, in milliseconds since 1970                              |
///
/// Word 0 is written last. A line has another order only when its worker has answered.
///
/// As `SupervisorOrders` it has two mappings, of which a child has only the one for reading. A ring of the one bell
/// wakes every worker, and each reads its own word. A worker can take rings away from others (see `Bell`), so that each
/// also looks by itself, after `Bell.longestSleep`.
package final class OnceOrders: Sendable {
    /// The supervisor's alone.
    private let writing: SharedMapping
    private let reading: SharedMapping
    private let file: MemoryFile
    private let lines: Int
    package let bell: Bell

    private static let lineSize = 64
    private static let runMask: UInt64 = 1 << 48 - 1
    private static let end: UInt64 = 1 << 63

    init(lines: Int) throws(SystemError) {
        let byteCount = lines * Self.lineSize
        let file = try MemoryFile(name: "prefork-once-orders", byteCount: byteCount, mode: 0o400)
        let bell = try Bell()
        writing = try SharedMapping(file, byteCount: byteCount)
        try writing.keepFromChildren()
        do throws(SystemError) {
            let readingFile = try file.reopenedForReading()
            reading = try SharedMapping(reading: readingFile.number, byteCount: byteCount)
        } catch {
            // Without /proc: read-only until the child says otherwise. The log says so (`SupervisorOrders.warning`).
            reading = try SharedMapping(reading: file.descriptor.number, byteCount: byteCount)
        }
        self.file = file
        self.bell = bell
        self.lines = lines
    }

    var descriptor: Int32 { file.descriptor.number }

    /// Proof: lines are the supervisor's own numbers, or the reader's own line, and are checked: the word is within the
    /// mapping, zeroed by the kernel, eight-byte aligned, and only ever used as this atomic word. The mappings live as
    /// long as the object, of which no child frees its copy.
    private func word(
        _ line: Int, _ index: Int = 0, of mapping: borrowing SharedMapping
    ) -> UnsafeMutablePointer<Atomic<UInt64>> {
        precondition(line >= 0 && line < lines, "line \(line)")
        return (mapping.base + line * Self.lineSize + index * 8).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    // In the supervisor

    func begin(_ ticket: OnceTicket, task: Int, line: Int) {
        let words = [ticket.due, ticket.covers, UInt64(clamping: ticket.attempt), UInt64(bitPattern: ticket.scheduled)]
        for (index, value) in words.enumerated() {
            word(line, index + 1, of: writing).pointee.store(value, ordering: .relaxed)
        }
        let order = ticket.run & Self.runMask | UInt64(task & 0x7FFF) << 48
        word(line, of: writing).pointee.store(order, ordering: .releasing)
        bell.ring()
    }

    func end(line: Int) {
        word(line, of: writing).pointee.bitwiseOr(Self.end, ordering: .releasing)
        bell.ring()
    }

    func clear(line: Int) { word(line, of: writing).pointee.store(0, ordering: .releasing) }

    // In a worker

    /// What a worker must do.
    package struct Order: Equatable, Sendable {
        /// With the number of the run.
        package let ticket: OnceTicket
        package let task: Int
        package let mustEnd: Bool
    }

    func order(line: Int) -> Order? {
        let order = word(line, of: reading).pointee.load(ordering: .acquiring)
        let run = order & Self.runMask
        guard run > 0 else { return nil }
        func read(_ index: Int) -> UInt64 { word(line, index, of: reading).pointee.load(ordering: .relaxed) }
        let ticket = OnceTicket(
            run: run, due: read(1), covers: read(2), attempt: Int(clamping: read(3)),
            scheduled: Int64(bitPattern: read(4)))
        return Order(ticket: ticket, task: Int(order >> 48 & 0x7FFF), mustEnd: order & Self.end != 0)
    }
}

/// The answer of a worker, on its line: untrusted, and believed for its own run only.
enum OnceAnswer {
    private static let mask: UInt64 = 1 << 49 - 1

    /// What it says of the run: bit 0 for code 0, above it the run, and in the highest byte one of `OnceLeaseCode`.
    static func word(run: UInt64, code: Int32) -> UInt64 {
        let isLeaseCode = code == OnceLeaseCode.elsewhere || code == OnceLeaseCode.noLease
        return (run << 1 & mask) | (code == 0 ? 1 : 0) | (isLeaseCode ? UInt64(code) << 56 : 0)
    }

    /// - Returns: nil for another run, or none. Else 0, 1, or one of `OnceLeaseCode`.
    static func code(_ word: UInt64, run: UInt64) -> Int32? {
        let (high, low) = (Int32(word >> 56), word & (1 << 56 - 1))
        guard low >> 1 == run & (Self.mask >> 1), run > 0 else { return nil }
        switch high {
        case 0: return low & 1 == 1 ? 0 : 1
        case OnceLeaseCode.elsewhere, OnceLeaseCode.noLease: return low & 1 == 0 ? high : nil
        default: return nil
        }
    }
}
