// The supervisor re-executes itself, and goes back when that was no good idea.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct UpgradeTests {
    @Test func upgradesUnderLoadKeepProcessListenerAndStoreAndLoseNothing() async throws {
        let server = try await OperatedProgram(["workers=2"])
        let old = Set(server.workers)
        #expect(try get("/count", port: server.port).body == "1")
        let before = server.program.openDescriptors
        let load = try await ConstantLoad(on: server.port)
        for round in 1...3 {
            server.program.send(.user2)
            try await server.waitForLog(containing: "reload: generation \(round + 1) serves")
        }
        let result = try await load.stop()
        #expect(result.failures == 0 && result.answers > 50, "\(result)")
        try await eventually("the old ones have ended") { server.workers.count == 2 }
        #expect(old.isDisjoint(with: server.workers))
        #expect(try get("/count", port: server.port).body == "2", "the store is the same")
        // One may have been open for a moment at either look.
        try await eventually("no descriptor is left") { server.program.openDescriptors <= before }
        #expect(server.program.output.split(separator: "\n").count { $0.hasSuffix("pid \(server.program.pid)") } == 4)
        #expect(try await server.end())
    }

    @Test func `A program that does not hold after it was ready is left again, and new workers of the old one serve`()
        async throws
    {
        let server = try await OperatedProgram(
            ["workers=2"], environment: ["PREFORK_PROBATION": "20s", "SWIFT_BACKTRACE": "enable=no"])
        let load = try await ConstantLoad(on: server.port, keep: 2, once: 1)
        server.turnOn("crash-later")
        server.program.send(.user2)
        try await server.waitForLog(containing: "failed its probation")
        server.turnOff("crash-later")
        try await server.waitForLog(containing: "rolling back to the previous program")
        // All workers were the new program's by then: the old one makes its own.
        try await server.waitForLog(containing: "reload: generation 3 serves, after")
        let result = try await load.stop()
        // What a crashed worker had in hand is lost.
        #expect(result.answers > 10, "\(result)")
        try await eventually("its own workers serve") { server.workers.count == 2 }
        let body = try get("/", port: server.port).body
        #expect(body.hasSuffix(" 3"), "\(body)")
        #expect(try await server.end())
    }

    /// The trial and the new image know what the store is. They do not ask memory that workers write.
    @Test func aWorkerThatWritesOverTheStoresHeaderDoesNotStopAnUpgrade() async throws {
        let server = try await OperatedProgram(["workers=2"])
        #expect(try get("/count", port: server.port).body == "1")
        #expect(try get("/scribble", port: server.port).body == "done")
        server.program.send(.user2)
        try await server.waitForLog(containing: "reload: generation 2 serves")
        #expect(try get("/count", port: server.port).body == "2", "the store is the same")
        #expect(try await server.end())
    }

    private enum NewProgram: CaseIterable {
        case missing, garbage, empty, another, crashing, ending, hanging
    }

    /// Nothing has changed, and the next upgrade, with the program repaired, succeeds.
    @Test(arguments: NewProgram.allCases) private func aProgramThatDoesNotStartIsRefused(new: NewProgram) async throws {
        let server = try await OperatedProgram(["workers=2"] + (new == .hanging ? ["boot=5000"] : []), ownCopy: true)
        let old = Set(server.workers)
        let before = server.program.openDescriptors
        let load = try await ConstantLoad(on: server.port, keep: 2, once: 1)
        switch new {
        case .missing: try server.replaceProgram(with: nil)
        case .garbage: try server.replaceProgram(with: [0x7F, 0x45, 0x4C, 0x46, 9, 9, 9, 9, 0, 1, 2, 3])
        case .empty: try server.replaceProgram(with: [])
        // It starts and ends well, but it is no server.
        case .another: try server.replaceProgram(withAnother: "/bin/true")
        case .crashing: server.turnOn("crash-start")
        case .ending: server.turnOn("end-start")
        case .hanging: server.turnOn("hang-start")
        }
        server.program.send(.user2)
        try await server.waitForLog(containing: "upgrade refused, nothing has changed")
        let result = try await load.stop()
        #expect(result.failures == 0, "\(result)")
        try await eventually("only the old ones") { Set(server.workers) == old }
        // One may have been open for a moment at either look.
        try await eventually("no descriptor is left") { server.program.openDescriptors <= before }
        try server.restoreProgram()
        for name in ["crash-start", "end-start", "hang-start"] { server.turnOff(name) }
        server.program.send(.user2)
        try await server.waitForLog(containing: "reload: generation 2 serves")
        #expect(try await server.end())
    }

    @Test func aTrialThatIsKilledChangesNothing() async throws {
        let server = try await OperatedProgram(["workers=2"])
        let old = Set(server.workers)
        server.turnOn("hang-start")
        server.program.send(.user2)
        try await eventually("the trial") { server.workers.count == 3 }
        let trial = try #require(server.workers.first { !old.contains($0) })
        server.program.send(.user2)
        try await server.waitForLog(containing: "not done: an upgrade is in progress")
        kill(trial, SIGKILL)
        try await server.waitForLog(containing: "its trial killed by SIGKILL")
        #expect(old.contains(try server.ask().pid))
        server.turnOff("hang-start")
        server.program.send(.user2)
        try await server.waitForLog(containing: "reload: generation 2 serves")
        #expect(try await server.end())
    }

    @Test func aStopDuringATrialThatHangsLeavesNobody() async throws {
        let server = try await OperatedProgram(["workers=2"])
        server.turnOn("hang-start")
        server.program.send(.user2)
        try await eventually("the trial") { server.workers.count == 3 }
        server.program.send(.hangUp)
        try await server.waitForLog(containing: "not done: an upgrade is in progress")
        #expect(try await server.end())
    }

    @Test(arguments: ["crash-worker", "hang-worker"])
    func aProgramWhoseWorkersDoNotComeUpIsGoneBackFrom(trouble: String) async throws {
        let server = try await OperatedProgram(["workers=2"] + (trouble == "hang-worker" ? ["boot=5000"] : []))
        let old = Set(server.workers)
        let before = server.program.openDescriptors
        #expect(try get("/count", port: server.port).body == "1")
        let load = try await ConstantLoad(on: server.port)
        server.turnOn(trouble)
        server.program.send(.user2)
        try await server.waitForLog(containing: "upgrade failed: rolling back to the previous program")
        try await server.waitForLog(containing: "took over", times: 2)
        let result = try await load.stop()
        #expect(result.failures == 0, "\(result)")
        try await eventually("only the old ones: \(old) \(server.workers)") { Set(server.workers) == old }
        #expect(old.contains(try server.ask().pid))
        #expect(try get("/count", port: server.port).body == "2")
        try await eventually("no descriptor more than \(before)") { server.program.openDescriptors <= before }
        server.turnOff(trouble)
        server.program.send(.user2)
        try await server.waitForLog(containing: "serves, after")
        try await eventually("new ones") { old.isDisjoint(with: server.workers) && server.workers.count == 2 }
        #expect(try await server.end())
    }

    @Test func aProgramThatRefusesToReplaceTheWorkersIsGoneBackFrom() async throws {
        let server = try await OperatedProgram(["workers=2"])
        let old = Set(server.workers)
        let before = server.program.openDescriptors
        server.turnOn("refuse")
        server.program.send(.user2)
        try await server.waitForLog(containing: "upgrade failed: rolling back to the previous program")
        try await server.waitForLog(containing: "took over", times: 2)
        #expect(old.contains(try server.ask().pid))
        try await eventually("no descriptor more than \(before)") { server.program.openDescriptors <= before }
        #expect(Set(server.workers) == old)
        #expect(try await server.end())
    }

    @Test func aStopWhileTheNewWorkersComeUpIsAStop() async throws {
        let server = try await OperatedProgram(["workers=2", "drain=500"])
        server.turnOn("hang-worker")
        server.program.send(.user2)
        try await server.waitForLog(containing: "its replacement started")
        #expect(try await server.end())
        #expect(!server.program.errors.contains("rolling back to the previous program"))
    }

    @Test func afterTheProgramFileIsGoneTheRollbackStillWorks() async throws {
        let server = try await OperatedProgram(["workers=2", "boot=5000"], ownCopy: true)
        let old = Set(server.workers)
        server.turnOn("hang-worker")
        server.program.send(.user2)
        try await server.waitForLog(containing: "its replacement started")
        try server.replaceProgram(with: nil)
        try await server.waitForLog(containing: "took over", times: 2)
        try await eventually("only the old ones") { Set(server.workers) == old }
        #expect(old.contains(try server.ask().pid))
        #expect(try await server.end())
    }

    @Test func aScaledPoolLosesNothingByAnUpgrade() async throws {
        let server = try await OperatedProgram(["workers=1", "drain=10000"])
        for count in 1...2 {
            // Two signals of one kind at the same time are one.
            server.program.send(.moreWorkers)
            try await server.waitForLog(containing: "workers instead of", times: count)
        }
        try await eventually("three serve") { Set(try (0..<9).map { _ in try server.ask().pid }).count == 3 }
        let old = Set(server.workers)
        let load = try await ConstantLoad(on: server.port)
        server.program.send(.user2)
        try await server.waitForLog(containing: "reload: generation 2 serves")
        // What an operator has set holds in the next image, too.
        try await eventually("three new ones serve") {
            server.workers.count == 3 && old.isDisjoint(with: server.workers)
        }
        let result = try await load.stop()
        #expect(result.failures == 0, "\(result)")
        #expect(try await server.end())
        #expect(!server.program.errors.contains("SIGKILL"))
    }

    /// Its own process in each image, never two at a time. A rollback is one more image.
    @Test(arguments: [false, true]) func aManagedProcessBeginsAnewInEachImage(goesBack: Bool) async throws {
        let server = try await OperatedProgram(["workers=2", "target=1"])
        func targets() -> [Int32] { server.program.output.split(separator: "\n").compactMap { line in
                line.hasPrefix("target ") ? Int32(line.dropFirst(7)) : nil
            } }
        try await eventually("the first") { targets().count == 1 }
        if goesBack { server.turnOn("crash-worker") }
        server.program.send(.user2)
        try await server.waitForLog(
            containing: goesBack ? "rolling back to the previous program" : "reload: generation 2 serves")
        let images = goesBack ? 3 : 2
        try await eventually("as many as images") { targets().count == images }
        try await eventually("two workers and the last of them") {
            server.workers.count == 3 && server.workers.contains(targets()[images - 1])
        }
        #expect(targets().dropLast().allSatisfy { kill($0, 0) != 0 })
        #expect(try await server.end())
    }

    @Test func aSupervisorKilledInTheMiddleOfAnUpgradeTakesEverybodyAlong() async throws {
        for delay in 0..<12 {
            let server = try await OperatedProgram(["workers=2"])
            server.program.send(.user2)
            usleep(UInt32(delay) * 6_000)
            server.program.send(.kill)
            #expect(try await server.program.waitForExit() == -SIGKILL)
            try await eventually("nobody is left") { server.program.groupSize == 0 }
        }
    }
}
