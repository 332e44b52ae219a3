// Threads for closures: how many there are, in which order they work, when they end.

import Glibc
import PreforkTestSupport
import Synchronization
import Testing

@testable import PreforkSystem

/// Closures wait here until the test lets them go.
private final class Gate: Sendable {
    private let isOpen = Atomic(false)
    private let count = Atomic(0)

    var arrived: Int { count.load(ordering: .sequentiallyConsistent) }

    func wait() {
        count.add(1, ordering: .sequentiallyConsistent)
        while !isOpen.load(ordering: .acquiring) { usleep(500) }
    }

    func open() { isOpen.store(true, ordering: .releasing) }
}

private final class Order: Sendable {
    private let numbers = Mutex<[Int]>([])
    var all: [Int] { numbers.withLock { $0 } }
    func add(_ number: Int) { numbers.withLock { $0.append(number) } }
}

@Suite(.timeLimit(.minutes(2))) struct ThreadPoolTests {
    private func pool(
        threads: Int, queue: Int = 100, idle: Duration = .seconds(60), name: String = "test",
        onChange: @escaping @Sendable (ThreadPool.Load) -> Void = { _ in }
    ) -> ThreadPool { ThreadPool(threads: threads, queue: queue, idle: idle, name: name, onChange: onChange) }

    private func job(_ body: @escaping @Sendable () -> Void) -> ThreadPool.Job { .init(run: body, abandon: {}) }

    @Test func threadsStartOnDemandAndNoMoreThanAllowed() async throws {
        let pool = pool(threads: 3)
        #expect(pool.load == ThreadPool.Load())
        let gate = Gate()
        defer { gate.open() }
        for number in 1...3 {
            _ = try pool.submit(job { gate.wait() })
            #expect(pool.load.threads == number)
        }
        for _ in 0..<5 { _ = try pool.submit(job { gate.wait() }) }
        try await eventually("three are busy") { pool.load == ThreadPool.Load(threads: 3, busy: 3, queued: 5) }
        #expect(gate.arrived == 3)
        gate.open()
        try await eventually("all are done") { pool.load == ThreadPool.Load(threads: 3) }
        #expect(gate.arrived == 8)
        // A thread that is free takes the next one.
        _ = try pool.submit(job {})
        #expect(pool.load.threads == 3)
    }

    @Test func jobsOfOneThreadRunInTheOrderOfTheirCalls() async throws {
        let (pool, order) = (pool(threads: 1), Order())
        for number in 0..<50 { _ = try pool.submit(job { order.add(number) }) }
        try await eventually("done") { order.all.count == 50 }
        #expect(order.all == Array(0..<50))
    }

    @Test func aFullQueueRefusesAndAFreeThreadIsNoQueue() async throws {
        let pool = pool(threads: 2, queue: 0)
        let gate = Gate()
        defer { gate.open() }
        for _ in 0..<2 { _ = try pool.submit(job { gate.wait() }) }
        #expect {
            _ = try pool.submit(job {})
        } throws: {
            if case ThreadPool.Refusal.full = $0 { true } else { false }
        }
        gate.open()
        try await eventually("free") { pool.load.busy == 0 && pool.load.queued == 0 }
        _ = try pool.submit(job {})
    }

    @Test func whatIsWithdrawnNeverRunsAndLeavesNothing() async throws {
        let (pool, order, gate) = (pool(threads: 1, queue: 10), Order(), Gate())
        defer { gate.open() }
        let first = try pool.submit(job { gate.wait() })
        try await eventually("busy") { pool.load.busy == 1 }
        #expect(!pool.withdraw(first), "it runs")
        for round in 0..<1_000 {
            let tickets = try (0..<10).map { number in try pool.submit(job { order.add(round * 10 + number) }) }
            for ticket in tickets.reversed() { #expect(pool.withdraw(ticket) && !pool.withdraw(ticket)) }
        }
        _ = try pool.submit(job { order.add(-1) })
        gate.open()
        try await eventually("done") { order.all == [-1] }
    }

    @Test func idleThreadsEndAndOthersComeWhenTheyAreNeeded() async throws {
        let pool = pool(threads: 4, idle: .milliseconds(1))
        for _ in 0..<3 {
            _ = try pool.submit(job {})
            try await eventually("none is left") { pool.load == ThreadPool.Load() }
        }
    }

    @Test func abandonedJobsAreToldAndQueuedOnesNeverRun() async throws {
        let (pool, order, gate) = (pool(threads: 1), Order(), Gate())
        defer { gate.open() }
        for number in 0..<3 {
            _ = try pool.submit(
                .init(
                    run: {
                        if number == 0 { gate.wait() }
                        order.add(100 + number)
                    }, abandon: { order.add(number) }))
        }
        try await eventually("busy") { pool.load.busy == 1 }
        pool.abandonAll()
        #expect(order.all.sorted() == [0, 1, 2])
        gate.open()
        try await eventually("done") { pool.load.busy == 0 }
        #expect(order.all.sorted() == [0, 1, 2, 100])
    }

    @Test func theThreadsHaveNamesAndTakeOnlySignalsOfTheirOwnCrash() async throws {
        let found = Mutex<(name: String, blocked: String)>(("", ""))
        let pool = pool(threads: 1, name: "named")
        _ = try pool.submit(
            job {
                let status = (try? SmallFile.read("/proc/thread-self/status", limit: 16_384)) ?? ""
                found.withLock {
                    $0.name = String(ProcessSnapshot.field("Name", in: status) ?? "")
                    $0.blocked = String(ProcessSnapshot.field("SigBlk", in: status) ?? "")
                }
            })
        try await eventually("told") { found.withLock { !$0.blocked.isEmpty } }
        #expect(found.withLock { $0.name } == "named-1")
        let mask = try #require(UInt64(found.withLock { $0.blocked }, radix: 16))
        for signal in [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT] { #expect(mask >> UInt64(signal - 1) & 1 == 0) }
        for signal in [SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGURG] { #expect(mask >> UInt64(signal - 1) & 1 == 1) }
    }

    @Test func eachChangeIsTold() async throws {
        let seen = Mutex<[ThreadPool.Load]>([])
        let pool = pool(threads: 1, idle: .milliseconds(1)) { load in seen.withLock { $0.append(load) } }
        _ = try pool.submit(job {})
        try await eventually("gone") { seen.withLock { $0.last == ThreadPool.Load() } }
        #expect(
            seen.withLock { $0 } == [
                ThreadPool.Load(threads: 1, queued: 1), ThreadPool.Load(threads: 1, busy: 1),
                ThreadPool.Load(threads: 1), ThreadPool.Load(),
            ])
    }
}
