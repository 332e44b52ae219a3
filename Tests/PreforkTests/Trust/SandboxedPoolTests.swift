// Workers, managed processes and commands in sandboxes: what they may no longer do, and that they still work.
//
// The kernel of the test may lack Landlock. What needs it is left out then.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

/// Whether this kernel has all that a sandbox can ask for.
private let hasAll: Bool = {
    let all = Sandbox(text: "network-server,read=/,bind=1,connect=1,strict")
    return (try? all.map { try PreparedSandbox($0) }) ?? nil != nil
}()

@Suite(.timeLimit(.minutes(2))) struct SandboxedPoolTests {
    private func pool(
        _ sandbox: String, _ probes: [String], environment: [String: String] = [:]
    ) throws -> ChildProgram {
        try ChildProgram(
            "fork-fixture", ["sandbox"] + probes, environment: environment.merging(["PREFORK_SANDBOX": sandbox]) { $1 })
    }

    /// What came of each probe of a process.
    private func outcomes(_ program: ChildProgram, of name: String = "worker") -> [String: String] {
        var found: [String: String] = [:]
        for line in program.output.split(separator: "\n") where line.hasPrefix(name + " ") {
            let words = line.split(separator: " ", maxSplits: 2).map(String.init)
            if words.count == 3 { found[words[1]] = words[2] }
        }
        return found
    }

    private func end(_ program: ChildProgram) async throws {
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0, "\(program.output)\n\(program.errors)")
    }

    @Test func aServersCallsAreAllowedAndTheMachinesAreNot() async throws {
        let probes = ["acct", "thread", "family=17", "family=2", "read=/etc/hostname", "run=/bin/true"]
        let program = try pool("network-server", ["managed"] + probes)
        _ = try await program.waitForLine("done ")
        for name in ["worker", "target"] {
            let found = outcomes(program, of: name)
            #expect(found["acct"] == "EPERM" && found["thread"] == "EPERM", "\(found)")
            #expect(found["family=17"] == "EAFNOSUPPORT")
            // Of a raw socket, which only root may make: the filter says nothing of it.
            #expect(found["family=2"] != "EAFNOSUPPORT")
            #expect(found["read=/etc/hostname"] == "done" && found["run=/bin/true"] == "code 0")
        }
        try await end(program)
    }

    @Test func withoutASandboxAllIsAsBefore() async throws {
        let program = try pool("off", ["acct", "family=1"])
        _ = try await program.waitForLine("done ")
        #expect(outcomes(program)["acct"] == (geteuid() == 0 ? "ENOENT" : "EPERM"))
        try await end(program)
    }

    @Test func aManagedProcessOfAPlainProgramHasItsSandbox() async throws {
        let program = try pool("local", ["plain", "acct", "connect=1", "read=/etc/hostname"])
        #expect(try await program.waitForExit() == 0, "\(program.output)\n\(program.errors)")
        let found = outcomes(program, of: "target")
        #expect(found == ["acct": "EPERM", "connect=1": "socket EAFNOSUPPORT", "read=/etc/hostname": "done"])
    }

    @Test(.enabled(if: hasAll, "this kernel lacks Landlock 6")) func filesAndPortsAreThoseOfTheRules() async throws {
        let folder = try temporaryPath()
        mkdir(folder, 0o777)
        chmod(folder, 0o777)
        defer {
            unlink(folder + "/new")
            rmdir(folder)
        }
        let probes = [
            "read=/etc/hostname", "read=/etc/hosts", "write=\(folder)/new", "write=/tmp/prefork-never", "bind=0",
            "connect=1", "connect=2", "run=/bin/true", "supervisor",
        ]
        let program = try pool(
            "network-server,write=\(folder),read=/usr/bin,bind=none,connect=1,strict", probes)
        _ = try await program.waitForLine("done ")
        let found = outcomes(program)
        #expect(found["read=/etc/hostname"] == "EACCES" && found["read=/etc/hosts"] == "done", "\(found)")
        #expect(found["write=\(folder)/new"] == "done" && found["write=/tmp/prefork-never"] == "EACCES")
        #expect(access("/tmp/prefork-never", F_OK) != 0)
        #expect(found["bind=0"] == "EACCES")
        // Nothing listens there: the kernel has tried.
        #expect(found["connect=1"] == "ECONNREFUSED" && found["connect=2"] == "EACCES")
        #expect(found["run=/bin/true"] == "exec EACCES")
        #expect(found["supervisor"] == "EPERM")
        try await end(program)
    }

    @Test(.enabled(if: hasAll, "this kernel lacks Landlock 6")) func aCommandHasASandboxOfItsOwn() async throws {
        let program = try pool("network-server,unscoped", ["run-without-files=/bin/true", "run=/bin/true"])
        _ = try await program.waitForLine("done ")
        #expect(outcomes(program) == ["run-without-files=/bin/true": "exec EACCES", "run=/bin/true": "code 0"])
        try await end(program)
    }

    @Test func aCallThatIsNotAllowedCanBeTheEnd() async throws {
        let program = try pool("network-server,kill,unscoped", ["acct"], environment: ["PREFORK_MAX_RESTARTS": "0"])
        let code = try await program.waitForExit()
        #expect(code != 0)
        #expect(program.errors.contains("SIGSYS"), "\(program.errors)")
    }

    @Test(arguments: ["network-server,unscoped", "network-server"]) func aCrashHasItsBacktraceInASandbox(_ sandbox: String)
        async throws
    {
        let program = try pool(
            sandbox, ["crash"],
            environment: ["PREFORK_MAX_BOOT_FAILURES": "0", "PREFORK_CRASH_TIMEOUT": "80s", "SWIFT_BACKTRACE": "enable=yes,color=no"])
        #expect(try await program.waitForExit(within: .seconds(90)) != 0)
        #expect(program.errors.contains("SIGILL") || program.errors.contains("SIGTRAP"), "\(program.errors)")
        #expect(program.errors.contains("trap() + "), "\(program.errors)")
    }

    @Test(.enabled(if: hasAll, "this kernel lacks Landlock 6")) func aBacktraceNeedsNoRuleOfTheProgram() async throws {
        let program = try pool(
            "network-server,no-files,bind=none,connect=none,strict", ["crash"],
            environment: ["PREFORK_MAX_BOOT_FAILURES": "0", "PREFORK_CRASH_TIMEOUT": "80s", "SWIFT_BACKTRACE": "enable=yes,color=no"])
        #expect(try await program.waitForExit(within: .seconds(90)) != 0)
        #expect(program.errors.contains("trap() + "), "\(program.errors)")
    }

    @Test func whatAStrictSandboxLacksRefusesTheStart() async throws {
        let program = try pool("network-server,unscoped,read=/nowhere/at-all,strict", ["acct"])
        #expect(try await program.waitForExit() == 75)
        #expect(program.output.contains("the strict sandbox cannot be had"), "\(program.output)\(program.errors)")
        #expect(program.output.contains("/nowhere/at-all: No such file or directory (ENOENT)"))
        #expect(!program.output.contains("worker "))
    }

    @Test func whatIsLeftOutIsSaidOnce() async throws {
        let program = try pool("network-server,unscoped,read=/nowhere/at-all,read=/etc", ["read=/etc/hostname"])
        _ = try await program.waitForLine("done ")
        let lines = program.errors.split(separator: "\n").filter { $0.contains("the sandbox is incomplete here") }
        #expect(lines.count == 1 && lines[0].contains("/nowhere/at-all"), "\(program.errors)")
        try await end(program)
    }

    @Test(.enabled(if: geteuid() == 0, "needs root")) func aSandboxFollowsTheRights() async throws {
        let program = try pool(
            "network-server", ["acct", "read=/etc/hostname", "run=/bin/true"],
            environment: ["PREFORK_USER": "nobody", "PREFORK_UMASK": "027"])
        _ = try await program.waitForLine("done ")
        #expect(outcomes(program)["run=/bin/true"] == "code 0" && outcomes(program)["acct"] == "EPERM")
        let pid = try #require(Int32(program.output.split(separator: "\n").last?.split(separator: " ").last ?? ""))
        let status = try SmallFile.read("/proc/\(pid)/status", limit: 16_384)
        for line in ["Seccomp:\t2", "NoNewPrivs:\t1", "Uid:\t65534\t65534\t65534\t65534"] {
            #expect(status.contains(line), "\(status)")
        }
        try await end(program)
    }

    /// Of /proc/PID/status: 0 without a filter.
    private func hasFilter(_ pid: Int32) -> Bool { read("/proc/\(pid)/status").contains("Seccomp:\t2") }

    /// Those of the program that runs now, without those that leave.
    private func serves(_ server: OperatedProgram, otherThan before: Set<Int32>) -> Bool {
        let now = Set(server.workers)
        return now.count == 2 && now.isDisjoint(with: before) && (try? server.ask()) != nil
    }

    @Test func reloadsAndUpgradesForkSandboxedWorkersOfASupervisorWithoutOne() async throws {
        let server = try await OperatedProgram(["workers=2"], environment: ["PREFORK_SANDBOX": "network-server"])
        let isFiltered = hasFilter(getpid())
        for order in [nil, Signal.hangUp, .user2] {
            if let order {
                let before = Set(server.workers)
                server.program.send(order)
                try await eventually("new workers after \(order)\n\(server.program.errors)") {
                    serves(server, otherThan: before)
                }
            }
            #expect(server.workers.allSatisfy(hasFilter), "\(server.program.errors)")
            #expect(hasFilter(server.program.pid) == isFiltered)
        }
        #expect(try await server.end())
    }

    @Test func aHungWorkerTellsItsStackInASandbox() async throws {
        let server = try await OperatedProgram(
            ["workers=1", "soft=1500", "grace=2000"], environment: ["PREFORK_SANDBOX": "network-server"])
        let client = try Client(port: server.port)
        try client.send("GET /block/60000 HTTP/1.1\r\n\r\n")
        try await server.waitForLog(containing: "gets SIGKILL: hung")
        #expect(server.program.errors.contains("end of stack"), "\(server.program.errors)")
        #expect(try await server.end())
    }

    @Test func storesChannelsAndQueuesWorkInASandbox() async throws {
        let server = try await OperatedProgram(["workers=2"], environment: ["PREFORK_SANDBOX": "network-server"])
        for count in 1...20 { #expect(try get("/count", port: server.port).body == "\(count)") }
        _ = try get("/jobs/10", port: server.port)
        let victim = try server.ask().pid
        kill(victim, SIGKILL)
        try await eventually("a successor") { server.workers.count == 2 && !server.workers.contains(victim) }
        #expect(try get("/count", port: server.port).body == "21")
        #expect(try await server.end())
    }
}
