// A queue that another image of the program goes on with, in one process.

import Glibc
import PreforkSystem
import Testing

@testable import PreforkStore

@Suite struct QueueHandoverTests {
    private static let removal: Int32 = 9  // MADV_REMOVE

    private func queue() throws -> QueueTable {
        try QueueTable(cellCount: 64, attempts: 3, messageLimit: 4_096, isHandedOver: true)
    }

    private func put(_ number: UInt8, into table: QueueTable) throws {
        #expect(try [number].withUnsafeBytes { try table.put(.bytes, $0, sleeping: false) } == .sent)
    }

    private func take(from table: QueueTable) throws -> QueueArrival? {
        if case .message(let arrival) = try table.take(sleeping: false) { return arrival }
        return nil
    }

    private func next(_ table: QueueTable) throws -> QueueTable {
        try QueueTable(table.form, adopting: try table.descriptors.map { try duplicate($0) })
    }

    @Test func `The next image has the messages, and those in flight keep their owner`() throws {
        let table = try queue()
        for number in 0..<3 { try put(UInt8(number), into: table) }
        let held = try #require(try take(from: table))
        let next = try next(table)
        #expect(next.counters.ready == 2 && next.counters.inFlight == 1)
        #expect(try next.reclaim() == 0, "the owner lives")
        #expect(try take(from: next)?.bytes == [1])
        #expect(try table.settle(try #require(held.ticket), .acknowledge))
        #expect(next.counters.inFlight == 1)
    }

    /// Its process lives on as another program, which knows nothing of them: no process would ever take them back.
    @Test func `What this image had in hand comes again in the next one`() throws {
        let table = try queue()
        try put(7, into: table)
        _ = try take(from: table)
        table.leaveSeat()
        #expect(table.counters.ready == 1 && table.counters.inFlight == 0)
        let again = try #require(try take(from: try next(table)))
        #expect(again.bytes == [7] && again.attempt == 2)
    }

    @Test func `Who has received nothing leaves nothing`() throws {
        let table = try queue()
        try put(7, into: table)
        table.leaveSeat()
        #expect(table.counters.ready == 1)
    }

    @Test func `A queue that no image follows has no descriptor to leave`() throws {
        #expect(try QueueTable(cellCount: 64, attempts: 0, messageLimit: 4_096).descriptors.isEmpty)
    }

    @Test func `Descriptors that are not a queue's are refused`() throws {
        let form = try queue().form
        #expect(throws: SystemError.self) { try QueueTable(form, adopting: []) }
        let other = try QueueTable(cellCount: 32, attempts: 3, messageLimit: 4_096, isHandedOver: true)
        let numbers = try other.descriptors.map { try duplicate($0) }
        #expect(throws: SystemError.self) { try QueueTable(form, adopting: numbers) }
    }

    @Test func `Another form is an objection with both`() {
        let form = QueueForm(cellCount: 4_096, attempts: 3, messageLimit: 65_536)
        #expect(form.objection(toText: form.text) == nil)
        let other = QueueForm(cellCount: 4_096, attempts: 0, messageLimit: 100)
        #expect(
            form.objection(toText: other.text) == """
                it was made with 1048576 bytes, no redelivery and messages of at most 100 bytes, and this program \
                makes it with 1048576 bytes, 3 attempts and messages of at most 65536 bytes
                """)
        for text in ["", "1", "2 4096 3 65536", "1 -1 3 65536", "1 4096 3 x", "1 99999999999 3 65536", "a b c d"] {
            #expect(form.objection(toText: text) == "it has another layout")
        }
    }

    /// FS_APPEND_FL of memory files: Linux 6.6, and the right to set it.
    private static var canKeepWhole: Bool {
        guard geteuid() == 0, let file = try? MemoryFile(name: "prefork-test", byteCount: 4_096) else { return false }
        file.keepWhole(true)
        return (try? SharedMapping(file, byteCount: 4_096)) == nil
    }

    @Test(.enabled(if: canKeepWhole, "needs Linux 6.6 and CAP_LINUX_IMMUTABLE"))
    func `No process makes holes in a queue, and the next image maps it all the same`() throws {
        let table = try queue()
        try put(7, into: table)
        let next = try next(table)
        for table in [table, next] {
            // The page after the header, which has the lock, begins where a page does.
            let page = try #require(table.memoryFromLock.baseAddress) + (4_096 - QueueHeader.lockOffset)
            #expect(madvise(page, 4_096, Self.removal) == -1 && errno == EPERM)
        }
        #expect(try take(from: next)?.bytes == [7])
    }
}
