// A work queue between processes that are killed, stopped and restarted.

import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct WorkQueueProcessTests {
    private func lines(_ scenario: String...) async throws -> [String] {
        let program = try ChildProgram("queue-fixture", scenario)
        #expect(try await program.waitForExit(within: .seconds(100)) == 0, "\(program.output)\(program.errors)")
        return program.output.split(separator: "\n").map(String.init)
    }

    @Test func eachMessageGoesToOneOfFourWorkers() async throws {
        let lines = try await lines("spread", "10000")
        let workers = lines.filter { $0.hasPrefix("worker ") || $0 == "worker" }
        #expect(workers.count == 4)
        let shares = workers.map { $0.split(separator: " ").dropFirst().compactMap { Int($0) } }
        #expect(shares.joined().sorted() == Array(0..<10_000))
        for share in shares { #expect(share == share.sorted()) }
        #expect(lines.last == "left 0 in flight 0 free true")
    }

    @Test(arguments: ["async", "blocking"]) func aKilledWorkersMessageGoesToTheOneWhoWaits(way: String) async throws {
        let lines = try await lines("killed-owner", way, "again")
        #expect(
            lines == [
                "owner has first", "waiter has first, attempt 2", "waiter ends with 0", "in flight 0, redelivered 1",
            ])
    }

    @Test(arguments: ["async", "blocking"]) func withoutRedeliveryItIsGone(way: String) async throws {
        let lines = try await lines("killed-owner", way, "none")
        #expect(lines[1] == "waiter has second, attempt 1")
        #expect(lines.last == "in flight 0, redelivered 0")
    }

    @Test(arguments: ["async", "blocking"]) func aSleeperHearsOfTheEndOfWhoeverCameLater(way: String) async throws {
        let lines = try await lines("newcomer", way)
        #expect(lines == ["owner has first", "waiter has first, attempt 2", "waiter ends with 0"])
    }

    @Test func aSuccessorInTheSamePlaceIsNotTakenForTheDead() async throws {
        let lines = try await lines("successor-at-work")
        #expect(
            lines == ["first, attempt 2"] + Array(repeating: "nothing", count: 4)
                + ["successor ends with 0, redelivered 1"])
    }

    @Test func aStoppedWorkerKeepsItsMessage() async throws {
        let lines = try await lines("stopped-owner")
        #expect(
            lines == [
                "reclaimed 0, in flight 1", "nothing: true", "got second", "in flight 0, acknowledged 2",
            ])
    }

    @Test func aMessageThatKillsItsWorkersBecomesADeadLetter() async throws {
        let lines = try await lines("poison")
        #expect(
            lines == [
                "ends [-9, -9, -9, 0]", "dead letters [\"poison after 3\"], counted 1", "free true",
            ])
    }

    @Test func aStoppedLockHolderIsAnErrorForTheOthers() async throws {
        let lines = try await lines("busy")
        #expect(lines.first == "work queue busy: could not take the lock in time")
        #expect(lines.last?.hasPrefix("again: success") == true)
    }

    @Test(arguments: ["async", "blocking"]) func aSenderInAnotherProcessWaitsForRoom(way: String) async throws {
        #expect(try await lines("full", way) == ["sender ends with 0, 4 before, free true"])
    }

    @Test func aSuccessorGivesSleepingSendersTheRoomOfADeadReceiver() async throws {
        #expect(
            try await lines("lost-room") == [
                "successor has 1048576", "sender ends with 0, successor with 0",
            ])
    }

    @Test func aForkedChildIsAnotherReceiver() async throws {
        #expect(
            try await lines("forked-delivery") == [
                "heir has second", "in flight 2, reclaimed 1, ready 1", "in flight 0",
            ])
    }

    @Test(arguments: ["async", "blocking"]) func noWakeUpIsLost(way: String) async throws {
        #expect(try await lines("ping-pong", "10000", way).first == "sum true")
    }

    @Test(arguments: [11, 12]) func killsLoseNothingThatWasSentAndLeakNothing(seed: Int) async throws {
        let lines = try await lines("storm", "200", "\(seed)")
        #expect(Array(lines.suffix(2)) == ["lost 0 torn 0", "ready 0 in flight 0 leaked 0"], "\(lines)")
    }

    @Test(arguments: [21, 22]) func noMessageLiesBesideSleepersWhenItsSenderIsKilled(seed: Int) async throws {
        let lines = try await lines("quiet", "200", "\(seed)")
        #expect(lines.last == "left beside sleepers 0")
    }

    @Test func moreProcessesReceiveOneAfterTheOtherThanThereArePlaces() async throws {
        #expect(try await lines("generations", "300") == ["acknowledged 300, free true"])
    }
}
