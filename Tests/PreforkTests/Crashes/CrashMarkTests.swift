// Workers that crash: what their supervisor does before they have ended, and what it knows of it after.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct CrashMarkTests {
    /// A pool that crashes on demand, with its control socket.
    private final class CrashingPool {
        let program: ChildProgram
        let port: UInt16
        let control: String
        private let folder: String

        /// - Parameter backtracer: a script that replaces the runtime's. If nil, there is no backtracer.
        init(
            _ arguments: [String] = ["crashes", "workers=2"], backtracer: String? = nil,
            environment: [String: String] = [:]
        ) async throws {
            folder = try temporaryPath()
            mkdir(folder, 0o700)
            control = folder + "/control"
            var environment = environment
            environment["PREFORK_CONTROL"] = control
            environment["SWIFT_BACKTRACE"] = "enable=no"
            if let backtracer {
                let path = folder + "/backtracer"
                let script = Array("#!/bin/sh\n\(backtracer)\n".utf8)
                let file = open(path, O_CREAT | O_WRONLY, 0o755)
                _ = write(file, script, script.count)
                close(file)
                environment["SWIFT_BACKTRACE"] = "enable=yes,swift-backtrace=\(path)"
            }
            program = try ChildProgram("fork-fixture", arguments, environment: environment)
            port = try #require(UInt16(try await program.waitForLine("port ")))
            let errors = program
            try await eventually("all ready") { errors.errors.contains("all 2 workers are ready") }
        }

        deinit {
            // The backtracer, too, which is in the program's process group.
            program.killGroup()
            for name in ["control", "backtracer"] { unlink("\(folder)/\(name)") }
            rmdir(folder)
        }

        /// Sends a line and waits for the end of the connection.
        ///
        /// - Returns: whether it came without a byte.
        func send(_ line: String) async throws -> Bool {
            let client = try Client(port: port)
            try client.send(line + "\n")
            try await eventually("the end of the connection\n\(program.errors)") { client.hasInput }
            return (try? client.receive())?.isEmpty ?? true
        }

        func crashes() async throws -> String {
            let tool = try ChildProgram("preforkctl", ["--socket", control, "crashes"])
            #expect(try await tool.waitForExit() == 0, "\(tool.errors)")
            return tool.output
        }

        func stop() async throws {
            program.send(.terminate)
            #expect(try await program.waitForExit() == 0, "\(program.errors)")
        }
    }

    /// Runs `preforkctl` on the pool.
    private func order(_ words: [String], on pool: CrashingPool) async throws -> (code: Int32, text: String) {
        let tool = try ChildProgram("preforkctl", ["--socket", pool.control] + words)
        return (try await tool.waitForExit(), tool.output + tool.errors)
    }

    @Test func `An operator sees a managed process, and has it restarted by its name`() async throws {
        let pool = try await CrashingPool()
        let first = try await pool.program.waitForLine("managed ")
        let before = try await order(["status"], on: pool).text
        #expect(before.contains("MANAGED") && before.contains(first) && before.contains("running"), "\(before)")
        let title = String(decoding: Array(try SmallFile.read("/proc/\(first)/cmdline").utf8).prefix { $0 != 0 }, as: UTF8.self)
        #expect(title.hasPrefix("prefork: managed g1"), "\(title)")
        let answer = try await order(["restart", "managed", "--wait"], on: pool)
        #expect(answer.code == 0 && answer.text.hasPrefix("managed: pid "), "\(answer)")
        #expect(!answer.text.contains("pid \(first) "))
        let after = try await order(["status", "--json"], on: pool).text
        #expect(after.contains("\"name\":\"managed\"") && !after.contains("\"pid\":\(first),"), "\(after)")
        let unknown = try await order(["restart", "nothing"], on: pool)
        #expect(unknown.code == 1 && unknown.text.contains("there is no managed process \"nothing\""), "\(unknown)")
        try await pool.stop()
    }

    @Test func `A stopped managed process hears of the stop`() async throws {
        let pool = try await CrashingPool()
        let managed = try #require(Int32(try await pool.program.waitForLine("managed ")))
        kill(managed, SIGSTOP)
        try await eventually("it stands") { (try? SmallFile.read("/proc/\(managed)/stat"))?.contains(") T ") ?? false }
        try await pool.stop()
        #expect(pool.program.errors.contains("managed (pid \(managed)) killed by SIGTERM"), "\(pool.program.errors)")
    }

    @Test func `An operator waits for a kill, and for the end of the pool`() async throws {
        let pool = try await CrashingPool()
        let killed = try await order(["kill", "0", "--wait"], on: pool)
        #expect(killed.code == 0 && killed.text.contains("killed by SIGKILL"), "\(killed)")
        let stopped = try await order(["stop", "--wait"], on: pool)
        #expect(stopped.code == 0 && stopped.text.contains("the supervisor has ended"), "\(stopped)")
        // It need not be waited for any more: it is a zombie at most.
        let state = try SmallFile.read("/proc/\(pool.program.pid)/stat")
        #expect(state.contains(") Z "), "\(state)")
        #expect(try await pool.program.waitForExit() == 0)
    }

    private static let functions = [
        "index": "crashByIndex", "absent": "crashByAbsence", "overflow": "crashByOverflow", "fatal": "crashByFatalError",
        "recursion": "crashByRecursion", "memory": "crashByMemory", "abort": "crashByAbort",
    ]

    @Test(arguments: functions.keys.sorted())
    func `The report of a crash names its function, and the line where it is`(_ kind: String) async throws {
        let pool = try await CrashingPool()
        _ = try await pool.send(kind)
        try await eventually("the end is told") { pool.program.errors.contains("killed by") }
        let text = try await pool.crashes()
        let function = try #require(Self.functions[kind])
        #expect(text.contains("\(function)(") && text.contains("CrashKinds.swift:"), "\(text)")
        #expect(pool.program.errors.contains("stack of thread"))
        try await pool.stop()
    }

    @Test func `A backtracer that takes its time costs neither a worker nor a client`() async throws {
        let pool = try await CrashingPool(backtracer: "exec sleep 600", environment: ["PREFORK_CRASH_TIMEOUT": "2s"])
        // The end of the connection comes at the crash, and so does the successor.
        #expect(try await pool.send("fatal"))
        try await eventually("a successor\n\(pool.program.errors)") { pool.program.errors.contains("restart 1 of it") }
        #expect(!pool.program.errors.contains("killed by") && !pool.program.output.contains("exit "))
        #expect(pool.program.errors.contains("its stack is being read"))
        let kind = { (process: String) in "prefork_crashes_total{process=\"\(process)\"}" }
        let metrics = try await order(["metrics"], on: pool).text
        #expect(metrics.contains("\(kind("worker")) 1\n") && metrics.contains("\(kind("managed")) 0\n"), "\(metrics)")
        try await eventually("the end\n\(pool.program.errors)") { pool.program.errors.contains("killed by SIGKILL") }
        try await eventually("the hook\n\(pool.program.output)") {
            pool.program.output.contains(" killed by SIGKILL crash SIGILL restart(")
        }
        #expect(pool.program.errors.contains("gets SIGKILL: crashed"))
        // Told once, counted once, replaced once.
        #expect(!pool.program.errors.contains("restart 2 of it"))
        #expect(try await pool.crashes().contains("crashByFatalError("))
        try await pool.stop()
    }

    @Test func `A worker of forkProcesses that crashes has a successor at once, too, and its stack is told`() async throws {
        let pool = try await CrashingPool(
            ["poison", "workers=2", "form=tornado"], backtracer: "exec sleep 600",
            environment: ["PREFORK_CRASH_TIMEOUT": "2s"])
        #expect(try await pool.send("anything"))
        try await eventually("a successor\n\(pool.program.errors)") { pool.program.errors.contains("restart 1 of it") }
        #expect(!pool.program.errors.contains("killed by"))
        #expect(pool.program.errors.contains("its stack is being read"))
        try await eventually("the end, and its stack\n\(pool.program.errors)") {
            pool.program.errors.contains("killed by SIGKILL") && pool.program.errors.contains("stack of thread")
        }
        #expect(!pool.program.errors.contains("restart 2 of"))
        #expect(try await pool.crashes().contains("trap("))
        pool.program.send(.terminate)
        _ = try await pool.program.waitForExit()
    }

    @Test func `No more backtracers at once than are allowed`() async throws {
        let pool = try await CrashingPool(backtracer: "exec sleep 600", environment: ["PREFORK_CRASH_AT_ONCE": "1"])
        _ = try await pool.send("fatal")
        try await eventually("the first") { pool.program.errors.contains("its stack is being read") }
        _ = try await pool.send("index")
        try await eventually("the second ends\n\(pool.program.errors)") {
            pool.program.errors.contains("killed by SIGKILL")
        }
        kill(-pool.program.pid, SIGKILL)
    }

    @Test func `Who holds a lock that others wait for gets no backtracer`() async throws {
        let pool = try await CrashingPool(backtracer: "exec sleep 600")
        _ = try await pool.send("locked")
        try await eventually("its end\n\(pool.program.errors)") { pool.program.errors.contains("killed by SIGSEGV") }
        #expect(!pool.program.errors.contains("its stack is being read"))
        try await pool.stop()
    }

    @Test func `The runtime's backtrace is printed as in a plain program`() async throws {
        let pool = try await CrashingPool(backtracer: "echo the backtracer was here; exit 0")
        _ = try await pool.send("fatal")
        try await eventually("its text\n\(pool.program.errors)") {
            (pool.program.output + pool.program.errors).contains("the backtracer was here")
        }
        try await eventually("the end\n\(pool.program.errors)") { pool.program.errors.contains("killed by SIGILL") }
        try await pool.stop()
    }

    @Test func `A managed process that crashes has a successor at once, and its report at the reap`() async throws {
        let pool = try await CrashingPool(backtracer: "exec sleep 600", environment: ["PREFORK_CRASH_TIMEOUT": "2s"])
        let first = try await pool.program.waitForLine("managed ")
        let client = try Client(port: pool.port)
        try client.send("managed\n")
        try await eventually("another one\n\(pool.program.errors)") {
            pool.program.output.split(separator: "\n").contains {
                $0.hasPrefix("managed ") && !$0.hasPrefix("managed exit") && !$0.hasSuffix(first)
            }
        }
        #expect(pool.program.errors.contains("managed (pid \(first)) has crashed (SIGILL): its stack is being read"))
        #expect(!pool.program.errors.contains("killed by") && !pool.program.output.contains("managed exit"))
        let metrics = try await order(["metrics"], on: pool).text
        #expect(metrics.contains("prefork_crashes_total{process=\"managed\"} 1\n"), "\(metrics)")
        // What is left of the first one goes when its time is over.
        try await eventually("its end\n\(pool.program.output)\n\(pool.program.errors)") {
            pool.program.output.contains("managed exit \(first) killed by SIGKILL crash SIGILL restart(")
        }
        #expect(pool.program.errors.contains("managed (pid \(first)) gets SIGKILL: crashed"))
        try await eventually("its stack\n\(pool.program.errors)") {
            pool.program.errors.contains("managed (pid \(first)): stack of thread")
        }
        // Told once, and one restart.
        #expect(pool.program.output.split(separator: "\n").count { $0.hasPrefix("managed exit") } == 1)
        let status = try await order(["status", "--json"], on: pool).text
        let managed = try #require(status.firstRange(of: "\"name\":\"managed\""))
        let row = status[managed.upperBound...].prefix(200)
        #expect(row.contains("\"generation\":2,") && row.contains("\"restarts\":1,"), "\(status)")
        try await pool.stop()
    }

    @Test(arguments: ["run", "terminate", "join", "terminateAll"])
    func `In a plain program, too, and what waits for ends waits for it`(_ action: String) async throws {
        let path = try temporaryPath()
        defer { unlink(path) }
        let script = Array("#!/bin/sh\nexec sleep 600\n".utf8)
        let file = open(path, O_CREAT | O_WRONLY, 0o755)
        _ = write(file, script, script.count)
        close(file)
        let program = try ChildProgram(
            "manager-fixture", ["crashes", action],
            environment: [
                "SWIFT_BACKTRACE": "enable=yes,swift-backtrace=\(path)",
                "PREFORK_CRASH_TIMEOUT": action == "run" || action == "join" ? "2s" : "600s",
            ])
        defer { kill(-program.pid, SIGKILL) }
        #expect(try await program.waitForExit() == 0, "\(program.output)\n\(program.errors)")
        let lines = program.output.split(separator: "\n").map(String.init)
        let ends = ["job 1", "job 2", "exit job 2 exited with code 0"]
        let last = ["exit job 1 killed by SIGKILL"]
        let words = ["crashed 1 restarts 1 ends 2", "remove: inUse(\"job\")"]
        switch action {
        case "run": #expect(lines == ends + last + ["outcome ended", "children 0"])
        case "terminate": #expect(lines == ends + words + last + ["2", "remove: nothing", "children 0"])
        default: #expect(lines == ends + words + last + ["remove: nothing", "children 0"])
        }
    }
}
