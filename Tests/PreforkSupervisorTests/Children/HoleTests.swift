// Holes in shared memory, which make every process that touches it wait while they are made.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkSupervisor

@Suite struct HoleTests {
    private static let removal: Int32 = 9  // MADV_REMOVE

    /// FS_APPEND_FL of memory files: Linux 6.6, and the right to set it.
    private static var canKeepWhole: Bool {
        guard geteuid() == 0, let file = try? MemoryFile(name: "prefork-test", byteCount: 4_096) else { return false }
        file.keepWhole(true)
        return (try? SharedMapping(file, byteCount: 4_096)) == nil
    }

    @Test(.enabled(if: canKeepWhole, "needs Linux 6.6 and CAP_LINUX_IMMUTABLE"))
    func nobodyMakesHolesInTheLinesOfWorkers() throws {
        let scoreboard = try Scoreboard(lines: 64)
        scoreboard.setReadySpawn(7, line: 0)
        let page = try #require(scoreboard.dumpArea(line: 0).baseAddress)
        #expect(madvise(page, 4_096, Self.removal) == -1 && errno == EPERM)
        #expect(scoreboard.readySpawn(line: 0) == 7)
        // The next image has the same memory, though this one has not prepared for it.
        let number = try duplicate(scoreboard.file.descriptor.number)
        let orders = try duplicate(scoreboard.orders.file.descriptor.number)
        let next = try Scoreboard(inherited: number, orders: orders, lines: 64)
        #expect(next.readySpawn(line: 0) == 7)
        next.setReadySpawn(8, line: 0)
        #expect(scoreboard.readySpawn(line: 0) == 8)
    }

    @Test func nobodyMakesHolesInMemoryWithoutADescriptor() throws {
        let mapping = try SharedMapping(byteCount: 8_192)
        mapping.base.storeBytes(of: 7, as: UInt64.self)
        #expect(madvise(mapping.base, 4_096, Self.removal) == -1 && errno == EPERM)
        #expect(mapping.base.load(as: UInt64.self) == 7)
    }
}
