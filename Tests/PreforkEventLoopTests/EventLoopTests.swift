// The loop itself: timers, threads, cancellation, executors.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkEventLoop

/// Notes its number at a turn's end, and the number 10 brings another one.
private final class TurnEnd: TurnEndObserver {
    private let number: Int
    private let order: Notes
    private let loop: EventLoop

    init(_ number: Int, _ order: Notes, _ loop: EventLoop) {
        self.number = number
        self.order = order
        self.loop = loop
    }

    func turnEnds() {
        order.add(number)
        if number == 10 { loop.atTurnEnd(TurnEnd(30, order, loop)) }
    }
}

@Suite(.timeLimit(.minutes(2))) struct EventLoopTests {
    @Test func aBodyRunsOnTheLoopsThreadAndItsResultComesBack() throws {
        let loop = try EventLoop()
        let answer = try loop.run { () -> Int in
            #expect(EventLoop.current === loop)
            try await EventLoop.sleep(for: .milliseconds(1))
            #expect(EventLoop.current === loop)
            return 42
        }
        #expect(answer == 42)
        #expect(EventLoop.current == nil)
        #expect(throws: Failure.self) { try loop.run { throw Failure(text: "x") } }
    }

    @Test func aTurnEndsWhenNoTaskCanRunWithoutNews() async throws {
        try await onOwnLoop {
            let order = Notes()
            let loop = try #require(EventLoop.current)
            loop.atTurnEnd(TurnEnd(10, order, loop))
            loop.atTurnEnd(TurnEnd(20, order, loop))
            await Task.yield()
            order.add(1)
            try await EventLoop.sleep(for: .milliseconds(1))
            order.add(2)
            #expect(order.all == [1, 10, 20, 30, 2])
        }
    }

    @Test func sleepsEndInTheOrderOfTheirDeadlines() async throws {
        try await onOwnLoop {
            let order = Notes()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for delay in [30, 10, 20, 0] {
                    group.addTask {
                        try await EventLoop.sleep(for: .milliseconds(delay))
                        order.add(delay)
                    }
                }
                try await group.waitForAll()
            }
            #expect(order.all == [0, 10, 20, 30])
        }
    }

    @Test func aSleepNeverEndsEarly() async throws {
        try await onOwnLoop {
            for duration in [Duration.microseconds(100), .milliseconds(3), .microseconds(2_500)] {
                let start = MonotonicInstant.now
                try await EventLoop.sleep(for: duration)
                #expect(MonotonicInstant.now - start >= duration)
            }
        }
    }

    @Test func aCancelledSleepEndsAtOnceAndLeavesNoTimer() async throws {
        try await onOwnLoop {
            let loop = EventLoop.current!
            let task = Task(executorPreference: loop) { try await EventLoop.sleep(for: .seconds(1_000)) }
            try await EventLoop.sleep(for: .milliseconds(1))
            #expect(loop.timers.count == 1)
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(loop.timers.count == 0)
            #expect(!loop.sleepers.contains { $0.isWaiting })
        }
    }

    @Test func manySleepsUseTheSameSlots() async throws {
        try await onOwnLoop {
            for _ in 0..<1_000 { try await EventLoop.sleep(for: .zero) }
            #expect(EventLoop.current!.sleepers.count == 1)
        }
    }

    @Test func aTimeoutCancelsItsBodyAndTellsHowLongItWas() async throws {
        let body: @Sendable () async throws -> Void = {
            #expect(try await withTimeout(.seconds(100)) { 7 } == 7)
            do {
                try await withTimeout(.milliseconds(5)) { try await EventLoop.sleep(for: .seconds(100)) }
                Issue.record("no timeout")
            } catch let error as TimeoutError {
                #expect(error.timeout == .milliseconds(5))
            }
            await #expect(throws: TimeoutError.self) { try await withTimeout(.zero) { 1 } }
            await #expect(throws: Failure.self) { try await withTimeout(.seconds(9)) { throw Failure(text: "own") } }
            let outer = Task { try await withTimeout(.seconds(100)) { try await EventLoop.sleep(for: .seconds(100)) } }
            outer.cancel()
            await #expect(throws: CancellationError.self) { try await outer.value }
        }
        try await onOwnLoop(body)
        try await body()
    }

    /// Cancellation from another thread at every instant of a task's way to the loop.
    @Test(.timeLimit(.minutes(1)), arguments: 0..<4) func timeoutsFromManyThreadsAlwaysCancel(lane: Int) async throws {
        for number in 0..<2_000 {
            await #expect(throws: TimeoutError.self) {
                try await withTimeout(.microseconds(1 + number % 500)) {
                    try await EventLoop.sleep(for: .seconds(1_000))
                }
            }
        }
    }

    @Test func callsFromOtherThreadsAllArriveAndWakeASleepingLoop() async throws {
        let calls = Calls()
        let threads = 4
        let each = 5_000
        try await onOwnLoop {
            let loop = EventLoop.current!
            for _ in 0..<threads {
                try startThread {
                    for _ in 0..<each { loop.execute { calls.add() } }
                }
            }
            let end = MonotonicInstant.now + .seconds(20)
            while calls.count < threads * each, MonotonicInstant.now < end {
                try await EventLoop.sleep(for: .milliseconds(1))
            }
        }
        #expect(calls.count == threads * each)
    }

    /// The window between "no letters" and "asleep": a single call at a time, so that each needs its own wake-up.
    @Test(.timeLimit(.minutes(1))) func noWakeUpIsLost() async throws {
        let loop = try EventLoop.shared
        for _ in 0..<20_000 {
            await withCheckedContinuation { continuation in
                loop.execute { continuation.resume() }
            }
        }
    }

    @Test func aScheduledCallCanBeCalledOff() async throws {
        let calls = Calls()
        try await onOwnLoop {
            let loop = EventLoop.current!
            loop.call(after: .milliseconds(1)) { calls.add() }
            let cancelled = loop.call(after: .milliseconds(1)) { calls.add() }
            cancelled.cancel()
            cancelled.cancel()
            try await EventLoop.sleep(for: .milliseconds(5))
        }
        #expect(calls.count == 1)
    }

    @Test func anActorOnTheLoopIsIsolatedThere() async throws {
        actor OnLoop {
            let loop: EventLoop
            init(_ loop: EventLoop) { self.loop = loop }
            nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
            func check() -> Bool {
                assertIsolated()
                return loop.isCurrent
            }
        }
        try await onOwnLoop {
            let actor = OnLoop(EventLoop.current!)
            #expect(await actor.check())
        }
        #expect(try await OnLoop(EventLoop.shared).check())
    }

    @Test func busyTasksDoNotStarveTimers() async throws {
        try await onOwnLoop {
            let done = Calls()
            async let busy: Int = {
                var turns = 0
                while done.count == 0 {
                    turns += 1
                    await Task.yield()
                }
                return turns
            }()
            try await EventLoop.sleep(for: .milliseconds(10))
            done.add()
            #expect(await busy > 0)
        }
    }

    @Test func aStopRequestIsHeardByAllOnce() async throws {
        let request = StopRequest()
        let calls = Calls()
        request.onRequest { calls.add() }
        let removed = request.onRequest { calls.add() }
        request.removeObserver(removed)
        async let waited: Void = request.wait()
        let cancelled = Task { try await request.wait() }
        cancelled.cancel()
        await #expect(throws: CancellationError.self) { try await cancelled.value }
        request.request(.service)
        request.request(.worker)
        try await waited
        #expect(request.reach == .service)
        #expect(calls.count == 1)
        request.onRequest { calls.add() }
        #expect(calls.count == 2)
        var elements = 0
        for try await _ in request { elements += 1 }
        #expect(elements == 1)
    }

    @Test func aPauseEndsByTheStopOrByItself() async throws {
        let request = StopRequest()
        #expect(try await request.wait(atMost: .milliseconds(1)) == false)
        async let waited = request.wait(atMost: .seconds(60))
        try await EventLoop.sleep(for: .milliseconds(1))
        request.request()
        #expect(try await waited)
        #expect(try await request.wait(atMost: .zero))
    }
}

@Suite(.timeLimit(.minutes(2))) struct TimerHeapTests {
    @Test(arguments: 1...10) func timersComeOutInOrderWhateverIsRemoved(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var heap = TimerHeap<Int>()
        var expected: [(Int64, Int)] = []
        for number in 0..<500 {
            let deadline = Int64.random(in: 0..<1_000, using: &random)
            let id = heap.insert(number, at: MonotonicInstant(nanoseconds: deadline))
            if Bool.random(using: &random) {
                #expect(heap.remove(id) == number)
                #expect(heap.remove(id) == nil)
            } else {
                expected.append((deadline, number))
            }
        }
        var last = Int64.min
        var popped: Set<Int> = []
        while let next = heap.next {
            #expect(next.nanoseconds >= last)
            #expect(heap.popDue(at: MonotonicInstant(nanoseconds: next.nanoseconds - 1)) == nil)
            last = next.nanoseconds
            popped.insert(heap.popDue(at: next)!)
        }
        #expect(popped == Set(expected.map(\.1)))
        #expect(heap.isEmpty)
    }
}
