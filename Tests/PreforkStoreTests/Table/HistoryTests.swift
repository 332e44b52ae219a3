// Four processes and three keys: what they saw must fit into one order of all operations.

import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct HistoryTests {
    private func event(_ process: Int, _ begin: Int64, _ end: Int64, _ operation: KeyOperation) -> HistoryEvent {
        HistoryEvent(process: process, begin: begin, end: end, operation: operation)
    }

    @Test func theCheckerAcceptsWhatCanHaveHappened() {
        #expect(LinearizabilityChecker.contradiction(in: []) == nil)
        // Overlapping: the get may see either value, and the later one the other.
        let overlapping = [
            event(0, 0, 10, .set(1)), event(1, 1, 9, .get(nil)), event(2, 2, 8, .get(1)),
            event(1, 12, 20, .compareAndSet(expected: 1, new: 2, done: true)),
            event(2, 13, 19, .compareAndSet(expected: 1, new: 3, done: false)), event(0, 14, 18, .get(1)),
            event(0, 30, 31, .add(5, sum: 7)),
        ]
        #expect(LinearizabilityChecker.contradiction(in: overlapping) == nil)
    }

    @Test func theCheckerRefusesWhatCannotHaveHappened() {
        let stale = [event(0, 0, 1, .set(1)), event(1, 2, 3, .set(2)), event(0, 4, 5, .get(1))]
        #expect(LinearizabilityChecker.contradiction(in: stale) != nil)
        // Two readers see two writes in different orders.
        let flicker = [
            event(0, 0, 100, .set(1)), event(1, 10, 20, .get(1)), event(1, 30, 40, .get(nil)),
        ]
        #expect(LinearizabilityChecker.contradiction(in: flicker) != nil)
        let bothWon = [
            event(0, 0, 1, .set(1)), event(1, 2, 10, .compareAndSet(expected: 1, new: 2, done: true)),
            event(2, 2, 10, .compareAndSet(expected: 1, new: 3, done: true)),
        ]
        #expect(LinearizabilityChecker.contradiction(in: bothWon) != nil)
        let lostUpdate = [event(0, 0, 10, .add(1, sum: 1)), event(1, 0, 10, .add(1, sum: 1))]
        #expect(LinearizabilityChecker.contradiction(in: lostUpdate) != nil)
        let refusedWithoutReason = [
            event(0, 0, 1, .set(1)), event(1, 2, 3, .compareAndSet(expected: 1, new: 2, done: false)),
        ]
        #expect(LinearizabilityChecker.contradiction(in: refusedWithoutReason) != nil)
    }

    @Test func eachKeysHistoryIsLinearizable() async throws {
        var checked = 0
        // On a busy machine four processes can run one after the other: such a history proves nothing.
        for seed in 1...100 where checked < 3 {
            if try await checkHistory(seed: seed, operations: 500 * min(seed, 8)) { checked += 1 }
        }
        #expect(checked == 3)
    }

    /// - Returns: whether operations of several processes overlapped.
    private func checkHistory(seed: Int, operations: Int) async throws -> Bool {
        let program = try ChildProgram("store-fixture", ["history", "\(seed)", "\(operations)"])
        #expect(try await program.waitForExit(within: .seconds(60)) == 0, "\(program.errors)")
        var histories: [String: [HistoryEvent]] = [:]
        for line in program.output.split(separator: "\n") {
            let (key, event) = try #require(parse(line.split(separator: " ").map(String.init)), "\(line)")
            histories[key, default: []].append(event)
        }
        #expect(histories.count == 3)
        #expect(histories.values.reduce(0) { $0 + $1.count } >= 4 * operations)
        for (key, history) in histories {
            let contradiction = LinearizabilityChecker.contradiction(in: history)
            #expect(contradiction == nil, "seed \(seed), \(key)")
        }
        // And the instrument would have seen it: one answer changed in the middle of a real history.
        var wrong = try #require(histories["k0"]).sorted { $0.begin < $1.begin }
        let index = try #require(
            wrong.indices.dropFirst(wrong.count / 2).first {
                if case .get = wrong[$0].operation { true } else { false }
            })
        wrong[index].operation = .get(-5)
        #expect(LinearizabilityChecker.contradiction(in: wrong) != nil)
        return histories.values.contains { overlaps(in: $0) > 0 }
    }

    private func overlaps(in history: [HistoryEvent]) -> Int {
        let sorted = history.sorted { $0.begin < $1.begin }
        return zip(sorted, sorted.dropFirst()).count { $0.process != $1.process && $1.begin < $0.end }
    }

    /// process, key, begin, end, what, and its numbers.
    private func parse(_ words: [String]) -> (String, HistoryEvent)? {
        guard words.count >= 6, let process = Int(words[0]), let begin = Int64(words[2]), let end = Int64(words[3])
        else {
            return nil
        }
        let operation: KeyOperation
        switch words[4] {
        case "get": operation = .get(Int(words[5]))
        case "set": operation = .set(Int(words[5])!)
        case "cas" where words.count == 8:
            operation = .compareAndSet(expected: Int(words[5]), new: Int(words[6])!, done: words[7] == "true")
        case "add": operation = .add(1_000_000, sum: Int(words[5])!)
        default: return nil
        }
        return (words[1], HistoryEvent(process: process, begin: begin, end: end, operation: operation))
    }
}
