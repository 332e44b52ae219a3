// Levels, circles, scores and packets: the small values behind managed processes.

import PreforkSystem
import Testing

@testable import PreforkSupervisor

@Suite(.timeLimit(.minutes(2))) struct DependencyPlanTests {
    private func plan(_ targets: [(String, [String])]) throws -> [[String]] {
        try DependencyPlan(targets.map { (name: $0.0, dependencies: $0.1) }).levels
    }

    private func problem(_ targets: [(String, [String])]) -> ProcessError? {
        do {
            _ = try plan(targets)
            return nil
        } catch { return error as? ProcessError }
    }

    @Test func levelsFollowTheLongestPath() throws {
        #expect(try plan([]) == [])
        #expect(try plan([("a", []), ("b", [])]) == [["a", "b"]])
        #expect(
            try plan([("top", ["left", "right"]), ("left", ["base"]), ("right", ["left"]), ("base", [])])
                == [["base"], ["left"], ["right"], ["top"]])
    }

    @Test func circlesAndStrangersAreNamedWithTheirPaths() {
        #expect(problem([("a", ["a"])]) == ProcessError(.cycle, path: ["a", "a"]))
        #expect(
            problem([("x", ["a"]), ("a", ["b"]), ("b", ["c"]), ("c", ["a"])])
                == ProcessError(.cycle, path: ["a", "b", "c", "a"]))
        #expect(problem([("a", ["b"]), ("b", ["z"])]) == ProcessError(.unknown("z"), path: ["a", "b", "z"]))
    }

    @Test func aChainOfTenThousandIsPlanned() throws {
        let chain = (0..<10_000).map { ("\($0)", $0 == 9_999 ? [] : ["\($0 + 1)"]) }
        #expect(try plan(chain).count == 10_000)
    }

    @Test(arguments: 0..<100) func everyTargetComesAfterWhatItNeeds(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let count = Int.random(in: 1...40, using: &random)
        // Edges to smaller numbers only, added in a random order.
        let targets = (0..<count).map { number in
            ("\(number)", (0..<number).filter { _ in Int.random(in: 0..<4, using: &random) == 0 }.map(String.init))
        }
        let levels = try plan(targets.shuffled(using: &random))
        var level: [String: Int] = [:]
        for (index, names) in levels.enumerated() { for name in names { level[name] = index } }
        for (name, dependencies) in targets {
            let highest = dependencies.compactMap { level[$0] }.max()
            #expect(level[name] == highest.map { $0 + 1 } ?? 0, "seed \(seed)")
        }
    }

    @Test func aScoreAllowsTheLimitAndWaitsAfterTheFirstRestarts() {
        var score = TargetRestartHistory()
        var random = SplitMix64(seed: 1)
        var now = MonotonicInstant(nanoseconds: 0)
        let policy = RestartPolicy(
            limit: 5, backoff: Backoff(immediate: 2, base: .seconds(1), maximum: .seconds(8), resetAfter: .seconds(60)))
        var delays: [Duration] = []
        for _ in 0..<5 {
            now = now + .milliseconds(1)
            let verdict = score.judge(
                wasReady: true, uptime: .milliseconds(1), at: now, policy: policy, using: &random)
            guard case .restart(let delay) = verdict else { return #expect(Bool(false), "gave up early") }
            delays.append(delay)
        }
        #expect(delays[0] == .zero && delays[1] == .zero)
        #expect(zip(delays[2...], [1, 2, 4]).allSatisfy { $0 <= .seconds($1) })
        #expect(
            score.judge(wasReady: true, uptime: .milliseconds(1), at: now, policy: policy, using: &random) == .giveUp)
        #expect(score.restarts == 6)
    }

    @Test func aScoreCountsStartsThatFailApartAndForgetsThemWhenOneIsReady() {
        var score = TargetRestartHistory()
        var random = SplitMix64(seed: 1)
        let policy = RestartPolicy(limit: 0, bootLimit: 1)
        func crash() -> TargetRestartHistory.Verdict {
            score.judge(
                wasReady: false, uptime: .zero, at: MonotonicInstant(nanoseconds: 0), policy: policy, using: &random)
        }
        #expect(crash() == .restart(in: .zero))
        score.becameReady()
        #expect(crash() == .restart(in: .zero))
        #expect(crash() == .giveUp)
    }

    @Test func packetsSurviveTheirTripAndOthersAreNone() {
        for packet in [
            ControlPacket(manager: 0, target: 1, code: 0), .init(manager: .max >> 1, target: 70_000, code: 255),
        ] {
            #expect(packet.word != 0 && ControlPacket(word: packet.word) == packet)
        }
        for word: UInt64 in [0, 1, .max >> 1] { #expect(ControlPacket(word: word) == nil) }
        #expect(ControlPacket(word: .max)?.target == ControlPacket.lastTarget)
    }

    @Test func errorsSayWhatWasWrong() {
        #expect("\(ProcessError(.unknown("a")))" == #"no target "a""#)
        #expect("\(ProcessError(.unknown("z"), path: ["a", "z"]))" == #"no target "z": a -> z"#)
        #expect("\(ProcessError(.duplicate("a")))" == #"a target "a" exists"#)
        #expect("\(ProcessError(.notReady(["a", "b"])))" == "not ready in time: a, b")
        #expect(SupervisorOutcome.targetFailed.exitCode == 70)
    }
}
