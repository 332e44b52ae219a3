// What real workers and managed processes can do to the line between them and their supervisor.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct ChildLineProcessTests {
    private func links(_ pid: Int32) -> [String] {
        DirectoryListing.names("/proc/\(pid)/fd").compactMap { name in
            var target = [UInt8](repeating: 0, count: 256)
            let count = readlink("/proc/\(pid)/fd/\(name)", &target, target.count)
            return count > 0 ? String(decoding: target.prefix(count), as: UTF8.self) : nil
        }
    }

    @Test func `Children read the supervisor's words and cannot write them`() async throws {
        let user = geteuid() == 0 ? ["PREFORK_USER": "nobody"] : [:]
        let program = try ChildProgram("fork-fixture", ["orders"], environment: user)
        try await program.waitForLine("all ready")
        try await eventually("the managed process has looked") { program.output.contains("managed: ") }
        let lines = program.output.split(separator: "\n")
        // A worker and a managed process have the words of the pool and of the manager.
        #expect(lines.count { $0 == "worker: r--s EACCES, r--s EACCES" } == 2, "\(lines)")
        #expect(lines.contains("managed: r--s EACCES, r--s EACCES"), "\(lines)")
        for child in program.children {
            #expect(!links(child).contains { $0.hasPrefix("/memfd:prefork-orders") })
            #expect(!links(child).contains { $0.hasPrefix("/memfd:prefork-scoreboard") })
        }
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
        #expect(program.output.contains("worker stops"))
    }

    @Test func `A supervisor has no eventfd that a worker has`() async throws {
        let program = try ChildProgram("fork-fixture", ["serve", "2"])
        try await program.waitForLine("all ready")
        // In control groups of version 1 the kernel tells of memory by one, which is the supervisor's alone.
        let own = eventCounters(of: program.pid)
        for child in program.children {
            let counters = eventCounters(of: child)
            #expect(!counters.isEmpty && counters.isDisjoint(with: own), "\(own) and \(counters)")
        }
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
    }

    @Test(arguments: ["ring", "empty"])
    func `A worker that misuses its doorbell and every other eventfd keeps its supervisor from nothing`(
        way: String
    ) async throws {
        let program = try ChildProgram("fork-fixture", ["storming-bells", way])
        try await eventually(within: .seconds(60), "worker 1 has come back often") {
            program.output.split(separator: "\n").count { $0 == "ready 1" } >= 20
        }
        program.send(.terminate)
        _ = try await program.waitForExit()
        #expect(program.output.contains("outcome stopped"))
    }

    /// The kernel's numbers of a process's eventfds (proc(5), fdinfo).
    private func eventCounters(of pid: Int32) -> Set<Substring> {
        let lines = entries("/proc/\(pid)/fdinfo").flatMap { read("/proc/\(pid)/fdinfo/\($0)").split(separator: "\n") }
        return Set(lines.filter { $0.hasPrefix("eventfd-id:") })
    }

    private func manager(_ scenario: String) async throws -> [String] {
        let program = try ChildProgram("manager-fixture", [scenario])
        let status = try await program.waitForExit(within: .seconds(60))
        try #require(status == 0, "\(program.output)\n\(program.errors)")
        // The manager has ended with a child, whose own child the kernel kills a moment later.
        try await eventually("no process is left") { program.groupSize == 0 }
        return program.output.split(separator: "\n").map(String.init)
    }

    @Test func `A target that asks for its restart without end gets one each second`() async throws {
        #expect(try await manager("restart-flood") == ["generations bounded", "children 0"])
    }

    @Test func `Codes come from forks of the program's own`() async throws {
        #expect(try await manager("own-fork-codes") == ["from the manager's fork", "from a target's fork"])
    }

    @Test func `Codes go up to the manager of a process above`() async throws {
        #expect(try await manager("codes-upwards") == ["two floors up"])
    }
}
