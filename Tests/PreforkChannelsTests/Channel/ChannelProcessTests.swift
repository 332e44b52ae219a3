// Channels between processes: a fixture forks them, kills them and checks what arrives.

import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct ChannelProcessTests {
    private func lines(
        _ scenario: String, _ arguments: [String] = [], preparation: String? = nil
    ) async throws -> [Substring] {
        let program = try ChildProgram("channel-fixture", [scenario] + arguments, preparation: preparation)
        let exit = try await program.waitForExit(within: .seconds(100))
        #expect(exit == 0, "\(program.output)\(program.errors)")
        return program.output.split(separator: "\n")
    }

    @Test func deathEndsEveryWaitOnceAndTheSuccessorGetsWhatWasKept() async throws {
        #expect(
            try await lines("death") == [
                "receive: peerDied(generation: 1)",
                "call: peerDied(generation: 1)",
                "second receive: timedOut",
                "send: peerDied(generation: 1)",
                "second call: peerDied(generation: 1)",
                "kept: true",
                "its death: peerDied(generation: 2)",
            ])
    }

    @Test func aSenderThatWaitsLearnsOfTheReceiversDeath() async throws {
        #expect(try await lines("death-of-receiver") == ["send: peerDied(generation: 1)"])
    }

    @Test func aCallThatWasMadeToNobodyLearnsOfItsCalleesDeath() async throws {
        #expect(try await lines("death-of-early-callee") == ["call: peerDied(generation: 1)"])
    }

    @Test func aBlockedThreadLearnsOfTheDeath() async throws {
        #expect(
            try await lines("blocking") == (1...3).map {
                "c: the process at the other end, its generation \($0), has ended"
            })
    }

    @Test func aStoppedProcessIsNotDead() async throws {
        #expect(try await lines("stopped") == ["send: timedOut", "receive: timedOut", "went on"])
    }

    @Test func allThatWasSentArrivesBeforeTheEndAndASuccessorOpensTheChannelAgain() async throws {
        #expect(try await lines("close") == (1...3).map { "life \($0): 10000, closed" })
    }

    @Test func aClosedEndThatLivesOnLeavesTheRepliesToItsSuccessor() async throws {
        #expect(try await lines("closed-lives") == ["done"])
    }

    @Test func anEndBelongsToOneLivingProcess() async throws {
        #expect(
            try await lines("end-in-use") == [
                "second: true", "opposite: true", "death: peerDied(generation: 1)", "third: 3",
            ])
    }

    @Test func `Each process of a slot takes its end over from the one before, and no message is lost or out of order`()
        async throws
    {
        #expect(try await lines("succession") == ["handled 40000, wrong 0, overlaps 0"])
    }

    @Test func `A process answers the calls that it has taken, and its successor the rest`() async throws {
        #expect(try await lines("succession-calls") == ["wrong 0, both true", "then closed"])
    }

    @Test func `What a process sends after it has left its end to its successor arrives`() async throws {
        let lines = try await lines("succession-late-send")
        #expect(
            lines.sorted() == [
                "another slot is refused: true", "first", "is answered: call heard", "late", "receives: stopping",
                "second", "sends: no error", "successor receives: hello",
            ])
    }

    @Test func `A process that is killed before it lets go fails its calls, and its successor comes`() async throws {
        #expect(try await lines("succession-kill") == ["held: peerDied(generation: 1)", "next: 3"])
    }

    @Test func `A process that ends while it waits for its predecessor is passed over`() async throws {
        #expect(try await lines("succession-passed-over") == ["held 11", "answer 23", "waiting no error"])
    }

    @Test func `Between an orderly end and the successor the other end waits`() async throws {
        #expect(try await lines("succession-gap") == ["answer 4, message 7"])
    }

    @Test func callbacksGoOnWithTheSuccessorAndPeerEventsTellOfIt() async throws {
        #expect(
            try await lines("peer-events") == [
                "attached(generation: 1)", "message 1", "died(generation: 1)",
                "attached(generation: 2)", "message 2", "died(generation: 2)",
            ])
    }

    @Test func aManagedChildHasItsActiveAndItsPassiveChannel() async throws {
        #expect(
            try await lines("deliver") == [
                "Passive receive: I am the main process passive", "Active receive: I am the main process active",
            ])
    }

    @Test func noWakeUpIsLostInTwentyThousandRoundTrips() async throws {
        #expect(try await lines("ping-pong", ["20000"]) == ["done"])
    }

    @Test func fullRingsInBothDirectionsKeepFlowing() async throws {
        #expect(try await lines("stream", ["100000"]) == ["done"])
    }

    @Test func aKilledSenderLeavesWholeMessagesWithoutAGap() async throws {
        #expect(try await lines("killed-sender", ["40"]) == ["received true"])
    }

    @Test func aKilledReceiversMessagesGoToItsSuccessor() async throws {
        #expect(try await lines("killed-receiver", ["40", "keep"]) == ["received true"])
    }

    @Test func aKilledReceiversMessagesAreDroppedIfAskedFor() async throws {
        #expect(try await lines("killed-receiver", ["40", "drop"]) == ["received true"])
    }

    @Test func withoutADescriptorLeftNothingIsLost() async throws {
        let lines = try await lines("descriptors", preparation: "ulimit -n 40")
        #expect(lines.count == 5 && lines.last == "done")
        #expect(lines.dropLast().allSatisfy { $0.contains("EMFILE") })
    }
}
