// Budgets, scores and restart sets, without a service.

import PreforkServices
import Testing

@Suite(.timeLimit(.minutes(2)))
struct PureTests {
    @Test(arguments: [1, 2, 3, 10, 1_000])
    func `every level of a budget gets a turn, and the last ends at most a tenth late`(levels: Int) {
        let budget = StopBudget(timeout: .seconds(10), levels: levels)
        #expect(budget.cancellation(ofLevel: levels - 1) == .seconds(10))
        #expect(budget.abandonment(ofLevel: levels - 1) == .seconds(11))
        for level in 0..<(levels - 1) {
            #expect(budget.cancellation(ofLevel: level) >= .seconds(5))
            #expect(budget.abandonment(ofLevel: level) > budget.cancellation(ofLevel: level))
            // What is sure to be left for the next one, however long the ones before it took.
            #expect(budget.cancellation(ofLevel: level + 1) - budget.abandonment(ofLevel: level) > .zero)
        }
    }

    @Test func `no budget at all still leaves a moment, and no value of one is refused`() {
        for timeout in [Duration.zero, .seconds(-1), .seconds(Int64.min)] {
            let budget = StopBudget(timeout: timeout, levels: 4)
            #expect(budget.cancellation(ofLevel: 0) == .zero)
            #expect(budget.abandonment(ofLevel: 3) == .milliseconds(10))
        }
        let endless = StopBudget(timeout: .seconds(Int64.max), levels: 0)
        #expect(endless.abandonment(ofLevel: 0) > .seconds(1_000_000))
    }

    @Test func `a score doubles the wait up to the cap and gives up above the limit`() {
        let backoff = ServiceBackoff(base: .seconds(1), cap: .seconds(3), jitter: 0, limit: 4, window: .seconds(30))
        var score = FailureScore()
        let verdicts = (0..<5).map { _ in score.fail(at: .zero, backoff, fraction: 1) }
        let waits: [Duration] = [.seconds(1), .seconds(2), .seconds(3), .seconds(3)]
        #expect(verdicts == waits.map { .restart(after: $0) } + [.giveUp])
    }

    @Test func `a score halves in each window, so that rare failures are forgiven for ever`() {
        let backoff = ServiceBackoff(base: .seconds(1), jitter: 0, limit: 2, window: .seconds(10))
        var score = FailureScore()
        for time in 0..<100 {
            #expect(score.fail(at: .seconds(time * 10), backoff, fraction: 0) != .giveUp)
        }
        #expect(score.fail(at: .seconds(990), backoff, fraction: 0) == .giveUp)
        #expect(score.fail(at: .seconds(100_000), backoff, fraction: 0) == .restart(after: .seconds(1)))
    }

    @Test func `jitter takes away at most its part`() {
        let backoff = ServiceBackoff(base: .seconds(1), jitter: 0.5, limit: 5)
        var never = FailureScore(), always = FailureScore()
        #expect(never.fail(at: .zero, backoff, fraction: 0) == .restart(after: .seconds(1)))
        #expect(always.fail(at: .zero, backoff, fraction: 1) == .restart(after: .milliseconds(500)))
    }

    @Test func `odd numbers of a backoff are the nearest sensible ones`() {
        var score = FailureScore()
        let none = ServiceBackoff(base: .seconds(-1), cap: .seconds(-1), jitter: .nan, limit: 1, window: .seconds(-1))
        #expect(score.fail(at: .zero, none, fraction: .infinity) == .restart(after: .zero))
        #expect(score.fail(at: .zero, none, fraction: .nan) == .restart(after: .zero))
        let negative = ServiceBackoff(jitter: -.infinity, limit: -1)
        #expect(score.fail(at: .seconds(-5), negative, fraction: 0) == .giveUp)
        var long = FailureScore()
        let huge = ServiceBackoff(base: .seconds(Int64.max), cap: .seconds(Int64.max), jitter: 7, limit: .max)
        #expect(long.fail(at: .zero, huge, fraction: 1) == .restart(after: .zero))
    }

    @Test func `a restart takes the one, the rest or the dependents`() {
        // 0 needs 1 and 2, 2 needs 3, 1 needs 3.
        let graph = ServiceGraph(
            names: ["a", "b", "c", "d"], groups: [[[1], [2]], [[3]], [[3]], []], parents: [-1, 0, 0, 1])
        let sequence = [3, 1, 2, 0]
        #expect(RestartSet.members(.one, of: 1, in: graph, sequence: sequence) == [1])
        #expect(RestartSet.members(.rest, of: 1, in: graph, sequence: sequence) == [1, 2, 0])
        #expect(RestartSet.members(.dependents, of: 1, in: graph, sequence: sequence) == [1, 0])
        #expect(RestartSet.members(.dependents, of: 3, in: graph, sequence: sequence) == sequence)
    }
}
