// Which worker takes which accept queue.

import PreforkSystem
import Testing

@Suite struct AcceptDutiesTests {
    private func shares(_ count: Int, among accepting: [Int]) -> [Int: [Int]] {
        Dictionary(uniqueKeysWithValues: accepting.map {
            ($0, AcceptDuties.queues(of: count, taskID: $0, among: accepting))
        })
    }

    @Test func `Each worker of a whole pool has its own queue`() {
        #expect(shares(4, among: [0, 1, 2, 3]) == [0: [0], 1: [1], 2: [2], 3: [3]])
        #expect(shares(2, among: [0, 1, 2, 3]) == [0: [0], 1: [1], 2: [0], 3: [1]])
    }

    @Test func `Workers share out the queues of those that are not there`() {
        #expect(shares(4, among: [0, 1]) == [0: [0, 2], 1: [1, 3]])
        #expect(shares(4, among: [2]) == [2: [2, 0, 1, 3]])
        #expect(shares(4, among: [0, 2, 3]) == [0: [0, 1], 2: [2], 3: [3]])
        // Worker 5 has queue 1.
        #expect(shares(4, among: [0, 5]) == [0: [0, 2], 5: [1, 3]])
    }

    @Test func `One that is not among them keeps its own`() {
        #expect(AcceptDuties.queues(of: 4, taskID: 1, among: [0, 3]) == [1])
    }

    /// A process without siblings.
    @Test func `A process that is no worker takes all`() {
        #expect(AcceptDuties.queues(of: 3) == [0, 1, 2])
        #expect(AcceptDuties.queues(of: 1) == [0])
    }

    @Test func `No queue is without a worker, and the shares are even`() {
        var random = SplitMix64(seed: 16)
        for _ in 0..<2_000 {
            let count = Int.random(in: 1...40, using: &random)
            let accepting = (0..<Int.random(in: 1...60, using: &random)).filter { _ in Bool.random(using: &random) }
            if accepting.isEmpty { continue }
            let shares = shares(count, among: accepting)
            #expect(Set(shares.values.joined()) == Set(0..<count))
            let sizes = shares.values.map(\.count)
            #expect(sizes.max()! - sizes.min()! <= 1)
            #expect(shares.allSatisfy { Set($0.value).count == $0.value.count && $0.value[0] == $0.key % count })
        }
    }
}
