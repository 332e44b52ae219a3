// Once-tasks in real processes: kills at each step, limits, reloads, upgrades, rollbacks, stops, and what operators see.

import Foundation
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(4))) struct OnceTaskTests {
    static let users: [[String: String]] = getuid() == 0 ? [[:], ["PREFORK_USER": "nobody"]] : [[:]]

    @Test(arguments: users) func `Of four workers none runs it, one process after the other does`(
        user: [String: String]
    ) async throws {
        let program = try await OnceProgram(["every=30", "workers=4"], environment: user)
        try await program.waitFor("end", 10)
        let begins = program.lines("begin")
        #expect(begins.prefix(10).map(\.run) == Array(1...10), "\(program.story)")
        #expect(Set(begins.map(\.pid)).count == begins.count)
        let status = try await program.order("status").output
        #expect(status.contains("TASK") && status.contains("task0") && !status.contains("MANAGED"), "\(status)")
        try await program.end()
        let log = program.program.errors
        #expect(log.contains("once-task task0: run 1 began (pid \(begins[0].pid)) for due time"), "\(log)")
        #expect(log.contains("task0 (pid \(begins[0].pid)) exited with code 0"), "\(log)")
    }

    @Test func `A killed run begins again at once, and every due time is begun`() async throws {
        let program = try await OnceProgram(["every=200", "misfire=each"], on: "hang")
        for number in 1...20 {
            let line = try await program.waitFor("begin", number)
            kill(line.pid, SIGKILL)
        }
        program.turnOff("hang")
        try await eventually("what waited has run\n\(program.story)") {
            Set(program.lines("end").map(\.due)).count >= 20
        }
        let dues = Set(program.lines("begin").map(\.due))
        #expect(dues == Set(1...(dues.max() ?? 0)))
        #expect(program.lines("begin").map(\.attempt).max() ?? 0 > 10)
        let task = try await program.task()
        #expect(task["killed"] as? Int == 20, "\(task)")
        #expect(task["failed"] as? Int == 0)
        try await program.end()
        #expect(program.program.errors.contains("was killed: it is begun again"))
    }

    @Test func `A body that throws has failed, and one that crashes comes again after a pause`() async throws {
        let program = try await OnceProgram(["every=3600000"])
        program.turnOn("throw")
        var (code, output) = try await program.order("run", "task0", "--wait")
        #expect(code == 1 && output.contains("run 1 of task0 exited with code 1 after"), "\(output)")
        program.turnOff("throw")
        program.turnOn("crash")
        _ = try await program.order("run", "task0")
        try await program.waitFor("begin", 4)
        program.turnOff("crash")
        try await program.waitFor("end")
        let begins = program.lines("begin")
        let pauses = (2..<begins.count).map { begins[$0].time - begins[$0 - 1].time }
        #expect(pauses[0] > 50_000_000 && pauses[1] > 100_000_000, "\(pauses)")
        (code, output) = try await program.order("tasks")
        #expect(output.contains("LAST RUN") && output.contains(": done at "), "\(output)")
        try await program.end()
        #expect(program.program.errors.contains("it is begun again in"))
    }

    @Test func `At its limit a run is cancelled, then killed, and the next begins only after its end`() async throws {
        let program = try await OnceProgram(["every=400", "timeout=200", "grace=300"], on: "hang")
        let first = try await program.waitFor("begin")
        program.turnOn("stubborn")
        try await program.waitFor("cancelled")
        program.turnOff("hang")
        let second = try await program.waitFor("begin", 2)
        #expect(second.time - first.time >= 350_000_000)
        // A run looks at its switches after it has said that it begins.
        try await program.waitFor("stubborn")
        program.turnOff("stubborn")
        program.turnOn("stopped")
        let third = try await program.waitFor("begin", 3)
        // Limit and grace: it blocks its loop and hears nothing.
        #expect(third.time - second.time >= 450_000_000, "\(program.story)")
        try await program.waitFor("stopped")
        program.turnOff("stopped")
        try await program.waitFor("begin", 4)
        #expect(!program.isAlive(third.pid))
        let task = try await program.task()
        #expect(task["timedOut"] as? Int ?? 0 >= 2, "\(task)")
        try await program.end()
        #expect(program.program.errors.contains("is asked to end: it takes longer than 200 ms"))
    }

    @Test func `An operator sees and starts runs, and is refused while one is going`() async throws {
        let program = try await OnceProgram(["cron=0 0 1 1 *"], on: "hang")
        #expect(try await program.order("run", "task0").output == "run 1 of task0 began\n")
        let line = try await program.waitFor("begin")
        #expect(line.due == 0)
        var (code, output) = try await program.order("run", "task0")
        #expect(code == 1 && output.contains("run 1 of task0 is going (pid \(line.pid)"), "\(output)")
        (code, output) = try await program.order("run", "stranger")
        #expect(code == 1 && output.contains("there is no once-task"), "\(output)")
        (code, output) = try await program.order("restart", "task0")
        #expect(code == 1 && output.contains("is a once-task"), "\(output)")
        var task = try await program.task()
        #expect(task["pid"] as? Int == Int(line.pid) && task["state"] as? String == "running", "\(task)")
        #expect((task["next"] as? String)?.hasSuffix("-01-01T00:00:00.000Z") == true, "\(task)")
        program.turnOff("hang")
        try await program.waitFor("end")
        try await eventually("it is over") { !program.isAlive(line.pid) }
        (code, output) = try await program.order("run", "task0", "--wait")
        #expect(code == 0 && output.contains("run 2 of task0 exited with code 0 after"), "\(output)")
        task = try await program.task()
        #expect(task["done"] as? Int == 2 && task["state"] as? String == "idle", "\(task)")
        let metrics = try await program.order("metrics").output
        #expect(metrics.contains(#"prefork_task_runs_total{task="task0",result="done"} 2"#), "\(metrics)")
        #expect(metrics.contains(#"prefork_task_runs_total{task="task0",result="killed"} 0"#))
        #expect(metrics.contains(#"prefork_task_running{task="task0"} 0"#))
        try await program.end()
    }

    @Test func `A reload leaves a run alone, and no other begins beside it`() async throws {
        let program = try await OnceProgram(["every=100", "workers=2"], on: "hang")
        let line = try await program.waitFor("begin")
        for _ in 0..<3 {
            let (code, output) = try await program.order("reload", "--wait")
            #expect(code == 0, "\(output)")
        }
        #expect(program.lines("begin").count == 1 && program.isAlive(line.pid))
        try await program.waitForLog("a later run stands for")
        program.turnOff("hang")
        let next = try await program.waitFor("begin", 2)
        #expect(next.missed >= 1, "\(program.story)")
        try await program.end()
    }

    @Test(arguments: users) func `An upgrade continues a run, and its successor is the new program's`(
        user: [String: String]
    ) async throws {
        let program = try await OnceProgram(["every=100", "misfire=each"], on: "hang", environment: user)
        let line = try await program.waitFor("begin")
        let (code, output) = try await program.order("upgrade", "--wait")
        #expect(code == 0, "\(output)\(program.story)")
        try await program.waitForLog("reload: generation 2 serves")
        #expect(program.isAlive(line.pid) && program.lines("begin").count == 1)
        let task = try await program.task()
        #expect(task["pid"] as? Int == Int(line.pid) && task["run"] as? Int == 1, "\(task)")
        program.turnOff("hang")
        try await program.waitFor("end")
        let next = try await program.waitFor("begin", 2)
        #expect(next.image == 2 && next.run == 2 && next.due == 2, "\(program.story)")
        try await program.waitFor("begin", 20)
        let begins = program.lines("begin")
        #expect(begins.map(\.due) == Array(1...begins.count), "\(program.story)")
        try await program.end()
    }

    @Test func `A run of the program before that is killed after the upgrade is begun again by the new one`() async throws {
        let program = try await OnceProgram(["every=3600000"], on: "hang")
        _ = try await program.order("run", "task0")
        let line = try await program.waitFor("begin")
        #expect(try await program.order("upgrade", "--wait").code == 0)
        kill(line.pid, SIGKILL)
        let next = try await program.waitFor("begin", 2)
        #expect(next.image == 2 && next.attempt == 2 && next.run == 2, "\(program.story)")
        try await program.end()
    }

    @Test(arguments: ["rollback", "ends"]) func `Where the program before comes back, no run is double or lost`(
        way: String
    ) async throws {
        let program = try await OnceProgram(
            ["every=50", "misfire=each", "work=20"], environment: ["PREFORK_PROBATION": "20s"])
        try await program.waitFor("end", 3)
        if way == "ends" {
            program.turnOn("new-main-ends")
            program.program.send(.user2)
            try await program.waitForLog("rolled back to the previous program")
        } else {
            program.program.send(.user2)
            try await program.waitForLog("on probation")
            let count = program.lines("begin").count
            try await program.waitFor("end", count + 3)
            #expect(program.lines("end").contains { $0.image == 2 })
            let (code, output) = try await program.order("rollback", "--wait")
            #expect(code == 0, "\(output)")
        }
        let count = program.lines("end").count
        try await program.waitFor("end", count + 5)
        let dues = Set(program.lines("begin").map(\.due))
        #expect(dues == Set(1...(dues.max() ?? 0)), "\(program.story)")
        try await program.end()
    }

    @Test func `A task that the new program does not have ends with its run's grace, when there is no way back`() async throws {
        let program = try await OnceProgram(["every=3600000", "grace=500"], on: "hang")
        program.turnOn("new-without")
        _ = try await program.order("run", "task0")
        let line = try await program.waitFor("begin")
        program.program.send(.user2)
        try await program.waitForLog("on probation")
        #expect(program.isAlive(line.pid))
        try await program.waitForLog("reload: generation 2 serves")
        try await eventually("the run ends\n\(program.story)") { !program.isAlive(line.pid) }
        try await program.end()
    }

    @Test func `A stop lets a run finish, and begins none`() async throws {
        let program = try await OnceProgram(["every=50", "grace=30000"], on: "hang")
        try await program.waitFor("begin")
        program.program.send(.terminate)
        try await program.waitForLog("task0 is asked to stop")
        program.turnOff("hang")
        #expect(try await program.program.waitForExit(within: .seconds(60)) == 0)
        #expect(program.lines("end").count == 1 && program.lines("begin").count == 1, "\(program.story)")
        #expect(program.program.groupSize == 0)
    }

    @Test func `A supervisor that is killed leaves no run`() async throws {
        let program = try await OnceProgram(["every=50"], on: "hang")
        let line = try await program.waitFor("begin")
        program.program.send(.kill)
        try await eventually("the run has ended") { !program.isAlive(line.pid) }
    }

    @Test func `A manager without a pool runs tasks until it is stopped`() async throws {
        let program = try await OnceProgram(["plain=1", "every=20", "tasks=2"], isPlain: true)
        try await program.waitFor("end", 20)
        #expect(Set(program.lines("end").map(\.task)) == ["task0", "task1"])
        program.program.send(.terminate)
        #expect(try await program.program.waitForExit(within: .seconds(60)) == 0)
        #expect(program.program.output.contains("ended stopped"))
        #expect(program.program.groupSize == 0 && !program.journal.contains("DOUBLE"))
    }

    @Test func `What makes no sense is refused when the task is added, and other calls leave tasks to their schedules`()
        async throws
    {
        let program = try ChildProgram("manager-fixture", ["once-refusals"])
        #expect(try await program.waitForExit() == 0)
        let lines = program.output.split(separator: "\n").map(String.init)
        let refused = #""a" is a once-task: its schedule starts it, or preforkctl run"#
        #expect(
            lines.filter { !$0.hasPrefix("every") && !$0.hasPrefix("jitter") && !$0.hasPrefix("timeout") } == [
                "add: done", #"again: a target "a" exists"#, "target: done", #"same as target: a target "b" exists"#,
                #"empty: "" cannot be a target's name"#,
                #"cron: once-task "c": "61 * * * *", character 1: the minute is within 0-59"#,
                #"place: once-task "c": a manager alone has no workers"#,
                "launch: \(refused)", "start: \(refused)", "restart: \(refused)", "stop by code: \(refused)",
                "dependent: done", "terminate: done", "remove dependent: done", "remove: done", "add once more: done",
            ], "\(program.output)\(program.errors)")
        #expect(lines.contains { $0.hasPrefix("every: once-task \"c\":") && $0.contains("from 10 ms to 366 days") })
        #expect(lines.contains { $0.hasPrefix("jitter: once-task \"c\":") })
        #expect(lines.contains { $0.hasPrefix("timeout: once-task \"c\":") })
    }
}
