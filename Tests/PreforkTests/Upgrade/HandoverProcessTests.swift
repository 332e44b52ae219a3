// What is in memory goes over to the next program, each thing to its own.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct HandoverProcessTests {
    private func upgrade(_ server: OperatedProgram, generation: Int) async throws {
        server.program.send(.user2)
        try await server.waitForLog(containing: "reload: generation \(generation) serves")
    }

    private func refuse(
        _ server: OperatedProgram, because text: String,
        after start: String = "it cannot take over from the running program: "
    ) async throws {
        server.program.send(.user2)
        try await server.waitForLog(containing: "upgrade refused, nothing has changed")
        let line = server.program.errors.split(separator: "\n").first { $0.contains("upgrade refused") } ?? ""
        #expect(line.contains(start) && line.contains(text), "\(line)")
    }

    /// It was made first in the new program, and had the memory of the other one.
    @Test func `One more store without a name is refused`() async throws {
        let server = try await OperatedProgram(["workers=2"])
        #expect(try get("/count", port: server.port).body == "1")
        server.turnOn("one-more")
        try await refuse(
            server, because: "stores without a name are matched by the order in which they are made: "
                + "the previous program has 0, this one 0, 1. Give the new ones a name")
        #expect(try get("/count", port: server.port).body == "2")
        server.turnOff("one-more")
        try await upgrade(server, generation: 2)
        #expect(try get("/count", port: server.port).body == "3")
        #expect(try await server.end())
    }

    @Test(arguments: [
        ("other-store", "store 0: it was made with 65536 entries, "),
        ("other-queue", "queue jobs: it was made with 1048576 bytes, 3 attempts and messages of at most 65536 bytes"),
        ("other-notes", "channel notes: it was made with rings of 262144 bytes"),
    ])
    func `What the new program makes otherwise is refused by name`(change: String, text: String) async throws {
        let server = try await OperatedProgram(["workers=1", "jobs=3", "notes=1"])
        server.turnOn(change)
        try await refuse(server, because: text)
        #expect(try get("/count", port: server.port).body == "1")
        #expect(try await server.end())
    }

    @Test func `A new program that cannot fork is refused by its reason`() async throws {
        let server = try await OperatedProgram(["workers=1"])
        server.turnOn("task")
        try await refuse(server, because: "or work on the main queue, would never begin", after: "a Swift task made")
        #expect(try get("/count", port: server.port).body == "1")
        #expect(try await server.end())
    }

    /// Also in the program before, when it comes back.
    @Test func `A store gets a name, and keeps its values`() async throws {
        let server = try await OperatedProgram(["workers=2", "boot=5000"])
        #expect(try get("/count", port: server.port).body == "1")
        server.turnOn("named")
        server.turnOn("hang-worker")
        server.program.send(.user2)
        try await server.waitForLog(containing: "its replacement started")
        // The program that comes back is the one without names.
        server.turnOff("named")
        try await server.waitForLog(containing: "rolling back to the previous program")
        try await server.waitForLog(containing: "took over", times: 2)
        server.turnOff("hang-worker")
        #expect(try get("/count", port: server.port).body == "2")
        server.turnOn("named")
        for round in 1...2 {
            server.program.send(.user2)
            try await server.waitForLog(containing: "serves, after", times: round)
            #expect(try get("/count", port: server.port).body == "\(round + 2)")
        }
        #expect(try await server.end())
    }

    @Test func `A program that is left the format before says so`() async throws {
        let program = try ChildProgram("ops-fixture", ["earlier"])
        #expect(try await program.waitForExit() == 0)
        #expect(program.output.contains("trial ended with 81"), "\(program.output)")
        #expect(program.errors.contains("the previous program uses format v3, and this one supports only v8"))
        #expect(!program.errors.contains("without a name"))
    }

    /// The counter went 1, 3, 5 over two upgrades.
    @Test func `What a trial does in its store reaches nobody`() async throws {
        let server = try await OperatedProgram(["workers=1", "raise=1"])
        try await upgrade(server, generation: 2)
        try await upgrade(server, generation: 3)
        let raised = server.program.output.split(separator: "\n").filter { $0.hasPrefix("raised ") }
        // Each program twice: in its trial and when it begins.
        #expect(raised == ["raised 1", "raised 2", "raised 2", "raised 3", "raised 3"])
        #expect(try await server.end())
    }

    /// 14 of 20 jobs were lost, or belonged to no process.
    @Test func `Upgrades in the middle of a work queue lose no job`() async throws {
        let server = try await OperatedProgram(["workers=2", "jobs=5"])
        #expect(try get("/jobs/30", port: server.port).body == "done")
        for generation in 2...3 { try await upgrade(server, generation: generation) }
        let port = server.port
        try await eventually("all are done") {
            try get("/jobs", port: port).body == "30 done, 0 ready, 0 in flight"
        }
        #expect(try await server.end())
    }

    @Test func `Notes on their way in a channel arrive in the next program, once`() async throws {
        let server = try await OperatedProgram(["workers=1", "notes=1"])
        for note in ["a", "large", "b"] { #expect(try get("/note/\(note)", port: server.port).body == "done") }
        try await upgrade(server, generation: 2)
        try await upgrade(server, generation: 3)
        let notes = server.program.output.split(separator: "\n").filter { $0.hasPrefix("notes ") }
        #expect(notes == ["notes []", "notes []", #"notes ["a", "200000", "b"]"#, "notes []", "notes []"])
        #expect(try await server.end())
    }
}
