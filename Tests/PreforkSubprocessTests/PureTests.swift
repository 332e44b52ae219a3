// Decisions without processes: the ladder, the search, the exit's audience, the limit of what is kept.

import PreforkSystem
import Testing

@testable import PreforkSubprocess

@Suite struct StopLadderTests {
    @Test func aPlanIsClimbedToTheKillAndThenFails() {
        var plan = StopPlan([.init(.interrupt, grace: .seconds(1)), .init(.terminate, grace: .seconds(2))])
        plan.killGrace = .seconds(3)
        var ladder = StopLadder(plan)
        #expect(ladder.climb() == .send(.interrupt, thenWait: .seconds(1)))
        #expect(ladder.climb() == .send(.terminate, thenWait: .seconds(2)))
        #expect(!ladder.hasKilled)
        #expect(ladder.climb() == .send(.kill, thenWait: .seconds(3)))
        #expect(ladder.hasKilled)
        #expect(ladder.climb() == .failed)
        #expect(ladder.climb() == .failed)
    }
}

@Suite struct ProgramSearchTests {
    private func search(_ path: String?) -> [String] {
        ProgramSearch.candidates(Array("x".utf8), path: path.map { Array($0.utf8) })
            .map { String(decoding: $0, as: UTF8.self) }
    }

    @Test func directoriesAreTriedInOrderAndOnce() {
        #expect(search("/b:/a:/b") == ["/b/x", "/a/x"])
        #expect(search("/b/:/a") == ["/b/x", "/a/x"])
    }

    @Test func emptyAndRelativeDirectoriesAreNotSearched() {
        #expect(search(":/a::bin:./bin:") == ["/a/x"])
        #expect(search("") == [])
        #expect(search(nil) == ["/bin/x", "/usr/bin/x"])
    }
}

@Suite struct CollectedTests {
    private func collect(_ pieces: [Int], limit: Int) -> (count: Int, fits: [Bool], isTruncated: Bool) {
        let collected = Collected(limit: limit, overflow: .stop)
        var results: [Bool] = []
        for piece in pieces where !collected.isTruncated {
            results.append([UInt8](repeating: 9, count: piece).withUnsafeBytes { collected.append($0) })
        }
        return (collected.bytes.count, results, collected.isTruncated)
    }

    @Test func theLimitIsExact() {
        #expect(collect([10], limit: 10) == (10, [true], false))
        #expect(collect([11], limit: 10) == (10, [false], true))
        #expect(collect([5, 5, 1], limit: 10) == (10, [true, true, false], true))
        #expect(collect([1], limit: 0) == (0, [false], true))
        #expect(collect([], limit: 0) == (0, [], false))
        #expect(collect([100_000, 100_000], limit: 150_000) == (150_000, [true, false], true))
        #expect(collect([100_000], limit: .max) == (100_000, [true], false))
    }
}

@Suite struct CommandTests {
    @Test func aCommandReadsAsOneTypesIt() {
        #expect(Command("ls", "-l", "a b", "it's").description == #"ls -l 'a b' 'it'\''s'"#)
        #expect(Command("x", "").description == "x ''")
    }

    @Test func nothingInACommandsTextCommandsATerminal() {
        #expect(Command("ls", "\u{1B}[2J", "a\nb", "\u{9B}it's\\").description == #"ls $'\x1B[2J' $'a\x0Ab' $'\xC2\x9Bit\'s\\'"#)
    }

    @Test func aSlashMakesAPath() {
        #expect(Command("a/b").program == .path("a/b"))
        #expect(Command("b").program == .name("b"))
    }

    @Test func theLastChangeOfAVariableCounts() {
        var environment = Command.Environment.only(["A": "1", "B": "2"])
        environment["A"] = "3"
        environment["B"] = nil
        environment["C"] = ""
        #expect(environment["A"] == "3")
        #expect(environment["B"] == nil)
        #expect(environment["C"] == "")
        #expect(environment["PATH"] == nil)
    }
}

@Suite struct ExitStateTests {
    private let exit = Subprocess.Exit(
        status: .exited(code: 1), usage: ResourceUsage(), duration: .zero, reason: .own, wasForced: false)

    @Test func callbacksAreHandedOutOnceAndLateOnesAtOnce() {
        var state = ExitState()
        #expect(state.add { _ in } == nil)
        #expect(state.add { _ in } == nil)
        #expect(state.end(exit).callbacks.count == 2)
        #expect(state.add { _ in } == exit)
        #expect(state.end(exit).callbacks.isEmpty)
        #expect(state.exit == exit)
    }

    @Test func aWaiterIsHandedOutOnce() async {
        var state = ExitState()
        let result = await withUnsafeContinuation { waiter in
            let id = state.makeID()
            #expect(state.add(waiter, id: id, isForStop: false) == nil)
            #expect(state.fail(StopError(pid: 1, underlying: SystemError("kill", .notPermitted))).isEmpty)
            #expect(state.abandon(id) != nil)
            #expect(state.abandon(id) == nil)
            #expect(state.end(exit).waiters.isEmpty)
            waiter.resume(returning: ExitState.WaitResult.abandoned)
        }
        #expect(result == .abandoned)
    }

    @Test func aFailedStopIsToldToThoseWhoWaitForOne() async {
        var state = ExitState()
        let failure = StopError(pid: 1, underlying: SystemError("kill", .notPermitted))
        let result = await withUnsafeContinuation { waiter in
            #expect(state.add(waiter, id: state.makeID(), isForStop: true) == nil)
            for waiter in state.fail(failure) { waiter.resume(returning: .unstoppable(failure)) }
        }
        #expect(result == .unstoppable(failure))
    }
}
