// Channels, queues and stores that are made after the fork, and how they get to other processes.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct HandleTravelTests {
    private static let users = geteuid() == 0 ? ["", "nobody"] : [""]

    private func environment(_ user: String) -> [String: String] { user.isEmpty ? [:] : ["PREFORK_USER": user] }

    private func lines(_ scenario: String, _ environment: [String: String] = [:]) async throws -> [String] {
        let program = try ChildProgram("travel-fixture", [scenario], environment: environment)
        let code = try await program.waitForExit(within: .seconds(120))
        #expect(code == 0, "\(program.output)\n\(program.errors)")
        return program.output.split(separator: "\n").map(String.init)
    }

    @Test(arguments: users)
    func `What a worker makes goes to a worker, to a managed process and back, and by name to later ones`(
        user: String
    ) async throws {
        #expect(
            try await lines("service", environment(user)).sorted() == [
                "helper hears from the helper", "helper knows [\"by name\", \"made by the helper\"]", "late worker did 8",
                "late worker reads hello", "maker gets job 7", "maker hears of peerDied(generation: 1)",
                "maker hears the helper, by name", "maker hears worker 1, to worker 1", "maker reads an answer",
                "maker reads to the helper", "outcome ended", "worker 1 reads hello",
            ])
    }

    @Test(arguments: users)
    func `A name outlives its maker, a reload and an upgrade`(user: String) async throws {
        let program = try ChildProgram(
            "travel-fixture", ["names"],
            environment: environment(user).merging(["PREFORK_HEARTBEAT": "30s"]) { own, _ in own })
        func life(_ number: Int) async throws -> (pid: Int32, descriptors: String) {
            let line = try await program.waitForLine("life \(number) ")
            let words = line.split(separator: " ")
            guard words.count == 4 else { return (-1, line) }
            return (Int32(words[1].dropLast()) ?? -1, String(words[2]))
        }
        let first = try await life(1)
        kill(first.pid, SIGKILL)
        let second = try await life(2)
        program.send(.hangUp)
        let third = try await life(3)
        try await eventually("the one before has ended") { kill(second.pid, 0) != 0 }
        program.send(.user2)
        let fourth = try await life(4)
        try await eventually("the upgrade is over") { program.errors.contains("generation 3 serves") }
        program.send(.user2)
        let fifth = try await life(5)
        #expect(third.descriptors == second.descriptors && fifth.descriptors == fourth.descriptors, "\(program.output)")
        #expect(!program.output.contains("gap"), "\(program.output)")
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
    }

    @Test func `The main process answers by a channel that a worker has made`() async throws {
        let lines = try await lines("main-receives")
        #expect(lines.contains("main got round 50") && lines.contains("an answer from main"))
        #expect(lines.contains("worker hears no error") && lines.contains("main kept none"), "\(lines)")
    }

    /// Memory that a worker of another user has made can hold whoever touches it.
    @Test(.enabled(if: geteuid() == 0))
    func `A main process with workers of another user uses nothing that they have made`() async throws {
        let lines = try await lines("main-receives", ["PREFORK_USER": "nobody"])
        #expect(lines.count { $0.hasPrefix("main refuses answers") && $0.contains("not a channel") } == 50, "\(lines)")
        #expect(lines.contains("worker hears timedOut") && lines.contains("main kept none"), "\(lines)")
    }

    @Test func `A thousand travels leave no descriptor`() async throws {
        #expect(try await lines("leaks").sorted() == ["receiver: no more descriptors", "sender: no more descriptors"])
    }

    @Test func `What is no handle leaves no descriptor`() async throws {
        #expect(try await lines("hostile") == ["refused 1000, no more descriptors", "then hello"])
    }

    @Test func `Without room for its descriptors a message stays`() async throws {
        #expect(try await lines("no-room") == ["without room: true", "sender hears got the first"])
    }
}
