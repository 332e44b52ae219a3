// Once-tasks whose runs are in workers: failover, limits, reloads and upgrades.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(4))) struct OnceWorkerTests {
    @Test(arguments: OnceTaskTests.users) func `A worker runs it, one run after the other`(
        user: [String: String]
    ) async throws {
        let program = try await OnceProgram(["in=worker", "every=30", "misfire=each", "workers=3"], environment: user)
        try await program.waitFor("end", 10)
        let begins = program.lines("begin")
        #expect(begins.prefix(10).map(\.run) == Array(1...10), "\(program.story)")
        #expect(begins.prefix(10).map(\.due) == Array(1...10), "\(program.story)")
        #expect(Set(begins.map(\.pid)).isSubset(of: program.program.children))
        try await program.end()
    }

    @Test func `When its worker is killed, another one does the run again at once`() async throws {
        let program = try await OnceProgram(["in=worker", "every=3600000", "workers=3"], on: "hang")
        _ = try await program.order("run", "task0")
        for number in 1...8 {
            let line = try await program.waitFor("begin", number)
            #expect(line.attempt == number && line.run == number, "\(program.story)")
            kill(line.pid, SIGKILL)
        }
        let last = try await program.waitFor("begin", 9)
        let task = try await program.task()
        #expect(task["pid"] as? Int == Int(last.pid) && task["killed"] as? Int == 8, "\(task)")
        program.turnOff("hang")
        try await program.waitFor("end")
        try await program.end()
    }

    @Test func `At its limit a run is cancelled, and a worker that does not end it is killed`() async throws {
        let program = try await OnceProgram(["in=worker", "every=400", "timeout=200", "grace=300", "workers=2"], on: "hang")
        let first = try await program.waitFor("begin")
        program.turnOn("stubborn")
        try await program.waitFor("cancelled")
        program.turnOff("hang")
        let second = try await program.waitFor("begin", 2)
        // A run looks at its switches after it has said that it begins.
        try await program.waitFor("stubborn")
        program.turnOff("stubborn")
        // Cancelling has not cost the worker.
        #expect(second.pid == first.pid, "\(program.story)")
        let third = try await program.waitFor("begin", 3)
        #expect(third.time - second.time >= 450_000_000 && !program.isAlive(second.pid), "\(program.story)")
        try await program.waitForLog("gets SIGKILL: run 2 of task0 does not end")
        let task = try await program.task()
        #expect(task["timedOut"] as? Int == 2, "\(task)")
        try await program.end()
    }

    @Test func `A reload lets a run finish in the old worker, and none begins beside it`() async throws {
        let program = try await OnceProgram(["in=worker", "every=100", "workers=2"], on: "hang")
        let line = try await program.waitFor("begin")
        #expect(try await program.order("reload").code == 0)
        try await program.waitForLog("a later run stands for")
        try await program.waitForLog("worker 0 ready", times: 2)
        #expect(program.lines("begin").count == 1 && program.isAlive(line.pid), "\(program.story)")
        program.turnOff("hang")
        let next = try await program.waitFor("begin", 2)
        #expect(next.pid != line.pid && program.lines("end").count >= 1, "\(program.story)")
        #expect(try await program.task()["killed"] as? Int == 0)
        try await eventually("the old worker has ended") { !program.isAlive(line.pid) }
        try await program.end()
    }

    @Test(arguments: [false, true]) func `An upgrade lets a run finish in the old worker, also if that is killed`(
        isKilled: Bool
    ) async throws {
        let program = try await OnceProgram(["in=worker", "every=3600000", "workers=2"], on: "hang")
        _ = try await program.order("run", "task0")
        let line = try await program.waitFor("begin")
        program.program.send(.user2)
        try await program.waitForLog("took over 2 workers of the previous program")
        try await program.waitForLog("worker 1 ready", times: 2)
        #expect(program.isAlive(line.pid) && program.lines("begin").count == 1, "\(program.story)")
        #expect(try await program.task()["pid"] as? Int == Int(line.pid))
        if isKilled {
            kill(line.pid, SIGKILL)
            let next = try await program.waitFor("begin", 2)
            #expect(next.image == 2 && next.attempt == 2, "\(program.story)")
        } else {
            program.turnOff("hang")
            try await program.waitFor("end")
            try await eventually("it is over\n\(program.story)") {
                program.program.errors.contains("run 1 of task0 is done") && !program.isAlive(line.pid)
            }
            #expect(try await program.task()["done"] as? Int == 1)
        }
        try await program.end()
    }

    @Test func `A stop lets a run finish within the drain time`() async throws {
        let program = try await OnceProgram(["in=worker", "every=3600000"], on: "hang")
        _ = try await program.order("run", "task0")
        try await program.waitFor("begin")
        program.program.send(.terminate)
        try await program.waitForLog("stopping")
        program.turnOff("hang")
        #expect(try await program.program.waitForExit(within: .seconds(60)) == 0)
        #expect(program.lines("end").count == 1, "\(program.story)")
    }
}
