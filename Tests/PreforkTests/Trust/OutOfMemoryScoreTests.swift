// PREFORK_OOM_SCORE: whom the kernel kills first.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct OutOfMemoryScoreTests {
    private func score(_ pid: Int32) -> Int? { Int(read("/proc/\(pid)/oom_score_adj").filter { !$0.isWhitespace }) }

    /// A number above this process's own, which needs no right.
    private var higher: Int { min(1000, (score(getpid()) ?? 0) + 300) }

    @Test func workersAndManagedProcessesHaveItAfterAReloadAndAnUpgradeTooAndTheSupervisorHasNot() async throws {
        var environment = ["PREFORK_OOM_SCORE": "\(higher)", "PREFORK_PROBATION": "0"]
        // The change of user takes /proc/self from the worker.
        if geteuid() == 0 { environment["PREFORK_USER"] = "nobody" }
        let server = try await OperatedProgram(["workers=2", "target=1"], environment: environment)
        func check() async throws {
            // A child that is forked just now, a managed process after a reload for example, has not changed it yet.
            try await eventually("all children have it\n\(server.program.errors)") {
                let children = server.program.children
                return children.count >= 3 && children.allSatisfy { score($0) == higher }
            }
            #expect(score(server.program.pid) == score(getpid()))
        }
        try await check()
        let first = try server.ask().generation
        server.program.send(.hangUp)
        try await server.waitForLog(containing: "reload: generation \(first + 1) serves")
        try await check()
        server.program.send(.user2)
        try await server.waitForLog(containing: "reload: generation \(first + 2) serves")
        try await check()
        #expect(server.count("warning: PREFORK_OOM_SCORE") == 0)
        #expect(try await server.end())
    }

    @Test func aScoreThatIsNotAboveTheSupervisorsIsToldOnce() async throws {
        let own = score(getpid()) ?? 0
        let server = try await OperatedProgram(["workers=2"], environment: ["PREFORK_OOM_SCORE": "\(own)"])
        #expect(server.count("PREFORK_OOM_SCORE=\(own) is not above the supervisor's own score, \(own)") == 1)
        #expect(try await server.end())
    }

    /// Before anything is forked, not in each worker.
    @Test func aScoreThatTheKernelRefusesEndsTheStart() async throws {
        let server = ChildProgram.path(of: "benchmark-server")
        let refused = try ChildProgram(
            "/usr/bin/setpriv", ["--bounding-set", "-sys_resource", server, "--port", "0"],
            environment: ["PREFORK_OOM_SCORE": "-1000"])
        #expect(try await refused.waitForExit() != 0)
        #expect(
            refused.errors.contains(
                "the score -1000 for the out-of-memory killer is below the supervisor's, which needs CAP_SYS_RESOURCE"),
            "\(refused.errors)")
    }

    @Test func aPlainManagerGivesItToItsProcesses() async throws {
        let program = try ChildProgram(
            "manager-fixture", ["plain-rights"], environment: ["PREFORK_OOM_SCORE": "\(higher)"])
        #expect(try await program.waitForExit() == 0)
        #expect(program.output.contains("score managed \(higher)\n"), "\(program.output)")
    }
}
