// Whose connections a new worker takes over.

import PreforkSystem
import Testing

@testable import PreforkSupervisor

@Suite struct HandoverDecisionTests {
    private let now = MonotonicInstant(nanoseconds: 1_000_000_000)

    private func fork(_ actions: [PoolAction]) -> UInt64? {
        actions.lazy.compactMap { if case .fork(_, let spawn) = $0 { spawn } else { nil } }.first
    }

    private func readyPool() -> (Pool, spawn: UInt64) {
        var pool = Pool(workers: 1, settings: .init(), now: now, seed: 1)
        let spawn = fork(pool.handle(.tick, at: now)) ?? 0
        #expect(pool.predecessor(ofFork: spawn, slot: 0) == nil, "the first worker follows no other")
        _ = pool.handle(.forked(slot: 0, pid: 10, spawn: spawn), at: now)
        _ = pool.handle(.ready(slot: 0, spawn: spawn), at: now)
        return (pool, spawn)
    }

    @Test func `A worker that a reload forks takes over from the one that serves`() {
        var (pool, first) = readyPool()
        let (_, actions) = pool.perform(.reload, at: now)
        let second = fork(actions) ?? 0
        #expect(second > first)
        #expect(pool.predecessor(ofFork: second, slot: 0) == first)
        #expect(pool.predecessor(ofFork: second, slot: 1) == nil)
        #expect(pool.predecessor(ofFork: second + 1, slot: 0) == nil)
    }

    @Test func `A worker whose predecessor has crashed takes over nothing`() {
        var (pool, first) = readyPool()
        let exit = ProcessExit(status: .signaled(.kill, coreDumped: false), usage: ResourceUsage())
        var actions = pool.handle(.exited(slot: 0, spawn: first, exit), at: now)
        actions += pool.handle(.tick, at: now + .seconds(60))
        #expect(fork(actions).map { pool.predecessor(ofFork: $0, slot: 0) } == .some(nil))
    }

    @Test func `Connections go from the worker with the most to the one with the fewest`() {
        #expect(Rebalance.moves([:]).isEmpty)
        #expect(Rebalance.moves([1: 50]).isEmpty)
        #expect(Rebalance.moves([1: 5, 2: 5]).isEmpty)
        #expect(Rebalance.moves([1: 5, 2: 6]).isEmpty)
        #expect(Rebalance.moves([1: 100, 2: 0, 3: 40]) == [Rebalance(giver: 1, taker: 2, count: 50)])
        #expect(
            Rebalance.moves([1: 100, 2: 0, 3: 60, 4: 20])
                == [Rebalance(giver: 1, taker: 2, count: 50), Rebalance(giver: 3, taker: 4, count: 20)])
        #expect(Rebalance.moves([1: 100, 2: 90], atLeast: 20).isEmpty)
    }

    @Test func `By itself the pool moves a few at a time, and only where it matters`() {
        #expect(Rebalance.slowMoves([1: 15, 2: 0]).isEmpty)
        #expect(Rebalance.slowMoves([1: 1_000, 2: 900]).isEmpty)
        #expect(Rebalance.slowMoves([1: 1_000, 2: 0]) == [Rebalance(giver: 1, taker: 2, count: 64)])
    }
}
