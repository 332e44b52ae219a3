// Code that blocks, from a plain program and from a loop. `BlockingWorkTests` has it in workers.

import Glibc
import PreforkSystem
import Synchronization
import Testing

@testable import PreforkEventLoop

@Suite(.timeLimit(.minutes(2))) struct BlockingTests {
    private struct Told: Error, Equatable {}

    @Test func theResultAndTheErrorComeBackToAPlainProgram() async throws {
        let thread = currentThreadNumber
        let other = try await Blocking.run { currentThreadNumber }
        #expect(other != thread)
        await #expect(throws: Told.self) { try await Blocking.run { throw Told() } }
        #expect(try await Blocking.run { EventLoop.current == nil })
    }

    @Test func theCallerContinuesOnItsLoopWhichTurnsMeanwhile() async throws {
        try await onOwnLoop {
            let loop = try #require(EventLoop.current)
            let turns = Calls()
            let isOver = Calls()
            try await withThrowingDiscardingTaskGroup { group in
                group.addTask(executorPreference: loop.preference) {
                    let value = try await Blocking.run {
                        // Ends only when the loop has turned.
                        while turns.count < 20 { usleep(500) }
                        return 7
                    }
                    #expect(value == 7 && EventLoop.current === loop)
                    isOver.add()
                }
                group.addTask(executorPreference: loop.preference) {
                    while isOver.count == 0 {
                        try await EventLoop.sleep(for: .milliseconds(1))
                        turns.add()
                    }
                }
            }
        }
    }

    @MainActor @Test func theMainActorGetsItsResultOnTheMainActor() async throws {
        #expect(try await Blocking.run { 3 } == 3)
        MainActor.assertIsolated()
    }

    @Test func aCallBeforeItsThreadIsWithdrawnByCancellationAndOneThatRunsIsWaitedFor() async throws {
        let pool = ThreadPool(threads: 1, queue: 10, idle: .seconds(1), name: "cancel") { _ in }
        let (begun, mayEnd, ran) = (Calls(), Calls(), Calls())
        func call(_ body: @escaping @Sendable () -> Int) -> Task<Int, any Error> {
            let call = BlockingCall<Int>(on: pool)
            return Task {
                try await withTaskCancellationHandler {
                    try await withCheckedThrowingContinuation { call.begin($0, body) }
                } onCancel: {
                    call.cancel()
                }
            }
        }
        let first = call {
            begun.add()
            while mayEnd.count == 0 { usleep(500) }
            return 1
        }
        while begun.count == 0 { try await Task.sleep(for: .milliseconds(1)) }
        let second = call {
            ran.add()
            return 2
        }
        while pool.load.queued == 0 { try await Task.sleep(for: .milliseconds(1)) }
        second.cancel()
        await #expect(throws: CancellationError.self) { try await second.value }
        #expect(pool.load.queued == 0)
        first.cancel()
        mayEnd.add()
        // Its closure has done its work: the result is there.
        #expect(try await first.value == 1)
        let third = call { 3 }
        #expect(try await third.value == 3 && ran.count == 0)
    }

    @Test func aTaskThatIsCancelledAlreadyBeginsNothing() async throws {
        let ran = Calls()
        let task = Task {
            while !Task.isCancelled { await Task.yield() }
            try await Blocking.run { ran.add() }
        }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(ran.count == 0)
    }

    @Test func manyCallsFromManyTasksEachGetTheirOwnResult() async throws {
        let sum = try await withThrowingTaskGroup(of: Int.self) { group in
            for number in 0..<500 { group.addTask { try await Blocking.run { number } } }
            return try await group.reduce(0, +)
        }
        #expect(sum == 499 * 500 / 2)
    }

    @Test func errorsNameTheLimit() {
        #expect(
            BlockingError(.queueFull(limit: 5)).description
                == "all threads for blocking work are busy, and 5 closures wait for one already")
        #expect(BlockingError(.badLimit("threads 0")).description == "bad limit of blocking work: threads 0")
        let refused = SystemError("pthread_create", Errno(rawValue: EAGAIN))
        #expect(BlockingError(.noThread, refused).description.hasPrefix("no thread for blocking work: pthread_create"))
    }
}
