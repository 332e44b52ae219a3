// Stores and the memory limit of the control group.

import PreforkTestSupport
import Testing

@testable import PreforkStore
@testable import PreforkSystem

@Suite(.timeLimit(.minutes(2))) struct MemoryLimitTests {
    private func isReserved(bytes: Int, _ limit: MemoryLimit?) throws(StoreError) -> Bool {
        let layout = try StoreLayout(StoreCapacity(entries: 100, bytes: bytes, publishLog: 0), evicts: false)
        return try StoreTable.checkMemory(layout, limit: limit)
    }

    private func limit(_ megabytes: UInt64, used: UInt64 = 0) -> MemoryLimit {
        MemoryLimit(group: "/sys/fs/cgroup/x", bytes: megabytes << 20, used: used << 20)
    }

    @Test func aStoreThatNoPartOfTheGroupCanHoldIsRefused() throws {
        let error = #expect(throws: StoreError.self) { try isReserved(bytes: 256 << 20, limit(100)) }
        guard case .memoryLimit(let needed, let limit, let group) = error?.code else { throw error! }
        #expect(needed > 256 << 20 && limit == 100 << 20 && group == "/sys/fs/cgroup/x")
        #expect("\(error!)".hasSuffix("does not fit into the memory limit of /sys/fs/cgroup/x, 104857600 bytes"))
    }

    @Test func onlyLargeStoresInLimitedGroupsAreReserved() throws {
        #expect(try !isReserved(bytes: 256 << 20, nil))
        #expect(try isReserved(bytes: 256 << 20, limit(400)))
        #expect(try !isReserved(bytes: 64 << 20, limit(400)))
        // What others of the group have counts for what is reserved, and not for what may stay untouched.
        #expect(throws: StoreError.self) { try isReserved(bytes: 256 << 20, limit(400, used: 200)) }
        #expect(try !isReserved(bytes: 64 << 20, limit(100, used: 90)))
        #expect(throws: StoreError.self) { try isReserved(bytes: 64 << 20, limit(32)) }
    }

    @Test(.enabled(if: MemoryGroup.isAvailable), arguments: ["ENOSYS", "EPERM"])
    func whereItCannotBeReservedMemoryCountsWhenItIsTouched(error: String) async throws {
        let group = try MemoryGroup(limit: 300 << 20)
        defer { withExtendedLifetime(group) {} }
        let program = try ChildProgram(
            "refuse-fixture", [error, "fallocate", ChildProgram.path(of: "store-fixture"), "limited", "200"],
            preparation: group.joining)
        #expect(try await program.waitForExit() == 0)
        #expect(program.output == "reserved false\nfilled true\n")
    }

    /// The kernel's own word: more than the group has ends with the process killed, and was not refused.
    @Test(.enabled(if: MemoryGroup.isAvailable))
    func aLimitedGroupRefusesWhatWouldKill() async throws {
        for (megabytes, lines) in [
            (400, ["refused true 300 true"]), (290, ["refused true 300 true"]),
            (200, ["reserved true", "filled true"]), (16, ["reserved false", "filled true"]),
        ] {
            let group = try MemoryGroup(limit: 300 << 20)
            defer { withExtendedLifetime(group) {} }
            let program = try ChildProgram("store-fixture", ["limited", "\(megabytes)"], preparation: group.joining)
            #expect(try await program.waitForExit() == 0)
            #expect(program.output.split(separator: "\n").map(String.init) == lines, "\(megabytes): \(program.output)")
        }
    }
}
