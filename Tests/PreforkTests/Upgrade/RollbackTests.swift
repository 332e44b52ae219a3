// The new program of an upgrade ends before it has shown that it holds: the program before serves on.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(4))) struct RollbackTests {
    /// A switch of the fixture that ends the new program, and what the log says of it.
    struct End: CustomTestStringConvertible, Sendable {
        let name: String
        let said: String
        var testDescription: String { name }

        init(_ name: String, _ said: String) { (self.name, self.said) = (name, said) }

        /// Before it supervises.
        static let early = [
            End("new-start-return", "exit code 0"), End("new-start-exit", "exit code 7"),
            End("new-things-quick", "quick_exit"), End("new-run-refused", "exit code 75"),
            End("new-start-fatal", "SIG"), End("new-things-fatal", "SIG"), End("new-listeners-memory", "SIGSEGV"),
            End("new-listeners-recursion", "SIGSEGV"), End("new-things-abort", "SIGABRT"),
            End("new-listeners-thread", "SIGSEGV"),
        ]
        /// In a hook, beside workers of its own.
        static let late = [
            End("new-ready-fatal", "SIG"), End("new-ready-exit", "exit code 7"), End("new-ready-recursion", "SIGSEGV"),
            End("new-fork-memory", "SIGSEGV"),
        ]
    }

    /// Nothing is lost but what the new program had in hand: clients, listeners, the store, descriptors, the pid file.
    @Test(arguments: End.early + End.late) func `The program before serves on`(end: End) async throws {
        let (path, pidFile) = (try temporaryPath(), try temporaryPath())
        let server = try await OperatedProgram(
            ["workers=2", "target=1", "unix=\(path)", "jobs=3"],
            environment: ["PREFORK_PROBATION": "3s", "PREFORK_PID_FILE": pidFile, "SWIFT_BACKTRACE": "enable=no"])
        try await eventually("the managed process") { server.workers.count == 3 }
        let before = server.program.openDescriptors
        #expect(try get("/count", port: server.port).body == "1")
        let load = try await ConstantLoad(on: server.port)
        server.turnOn(end.name)
        server.program.send(.user2)
        try await server.waitForLog(containing: "upgrade failed: the new program ended (\(end.said)")
        try await server.waitForLog(containing: "rolled back to the previous program")
        server.turnOff(end.name)
        try await eventually("two workers and a managed process: \(server.workers)") { server.workers.count == 3 }
        #expect(try get("/count", port: server.port).body == "2", "the store is the same")
        #expect(try get("/jobs/5", port: server.port).body == "done")
        try await eventually("the jobs are done") {
            try get("/jobs", port: server.port).body == "5 done, 0 ready, 0 in flight"
        }
        let result = try await load.stop()
        #expect(result.failures == 0, "\(result)")
        #expect(access(path, F_OK) == 0 && access(pidFile, F_OK) == 0)
        try await eventually("no descriptor more than \(before): \(server.program.openDescriptors)") {
            server.program.openDescriptors <= before
        }
        // It can be tried again, when the program before has rolled its workers in, if it had to.
        try await eventually("another upgrade") {
            server.program.send(.user2)
            usleep(100_000)
            return server.count("upgrade: this process becomes") == 2
        }
        try await server.waitForLog(containing: "took over", times: End.early.contains { $0.name == end.name } ? 2 : 3)
        #expect(try await server.end())
        #expect(access(pidFile, F_OK) != 0 && access(pidFile + ".lock", F_OK) != 0)
    }

    /// In its main program, where nothing can be asked of it.
    @Test(arguments: ["start-sleep", "things-sleep", "listeners-sleep", "start-spin", "things-spin"])
    func `A new program that hangs before it supervises is gone back from`(end: String) async throws {
        let server = try await OperatedProgram(
            ["workers=2", "target=1"], environment: ["PREFORK_PROBATION": "20s", "PREFORK_BOOT_TIMEOUT": "8s"])
        try await eventually("the managed process") { server.workers.count == 3 }
        let old = Set(server.workers)
        let load = try await ConstantLoad(on: server.port)
        server.turnOn("new-\(end)")
        server.program.send(.user2)
        try await server.waitForLog(
            containing: "the new program ended (it did not begin to supervise within the boot timeout)")
        try await server.waitForLog(containing: "took over 2 workers")
        #expect(Set(server.workers) == old)
        server.turnOff("new-\(end)")
        let result = try await load.stop()
        #expect(result.failures == 0, "\(result)")
        // Its time is counted anew.
        server.program.send(.user2)
        try await server.waitForLog(containing: "took over 2 workers", times: 2)
        try await server.waitForLog(containing: "is on probation")
        #expect(try await server.end())
    }

    /// Its process lives on, and with it the owner that the locks name.
    @Test func `Locks that the new program had when it crashed are given back`() async throws {
        let server = try await OperatedProgram(
            ["workers=2"], environment: ["PREFORK_PROBATION": "20s", "SWIFT_BACKTRACE": "enable=no"])
        #expect(try get("/count", port: server.port).body == "1")
        server.turnOn("new-crash-inside")
        server.program.send(.user2)
        try await server.waitForLog(containing: "the new program ended (SIGSEGV)")
        try await server.waitForLog(containing: "took over 2 workers")
        for count in 2...20 { #expect(try get("/count", port: server.port).body == "\(count)") }
        #expect(try await server.end())
    }

    @Test func `What the new program has printed last is written`() async throws {
        let server = try await OperatedProgram(["workers=1"], environment: ["PREFORK_PROBATION": "20s"])
        server.turnOn("new-start-exit")
        server.program.send(.user2)
        try await server.waitForLog(containing: "the new program ended (exit code 7)")
        #expect(server.program.output.contains("last words"))
        #expect(try await server.end())
    }

    @Test func `Old workers that were not replaced are the same processes`() async throws {
        let server = try await OperatedProgram(["workers=3"], environment: ["PREFORK_PROBATION": "20s"])
        let old = Set(server.workers)
        server.turnOn("new-listeners-fatal")
        server.program.send(.user2)
        try await server.waitForLog(containing: "the new program ended")
        try await server.waitForLog(containing: "took over 3 workers")
        #expect(Set(server.workers) == old)
        #expect(old.contains(try server.ask().pid))
        #expect(try await server.end())
    }

    @Test func `The file of the program before may be gone`() async throws {
        let server = try await OperatedProgram(
            ["workers=2"], environment: ["PREFORK_PROBATION": "20s"], ownCopy: true)
        server.turnOn("hold")
        server.turnOn("new-ready-hang")
        server.program.send(.user2)
        try await server.program.waitForLine("new program waits")
        try server.replaceProgram(with: nil)
        server.turnOff("hold")
        try await server.waitForLog(containing: "the new program ended")
        try await server.waitForLog(containing: "took over", times: 2)
        try await eventually("two workers") { server.workers.count == 2 }
        #expect(try server.ask().task < 2)
        #expect(try await server.end())
    }

    /// All of its workers are done with exit code 0, and `run` returns without an order.
    @Test func `A new program whose pool ends at once is gone back from`() async throws {
        let server = try await OperatedProgram(["workers=2"], environment: ["PREFORK_PROBATION": "20s"])
        server.turnOn("new-workers-done")
        server.program.send(.user2)
        try await server.waitForLog(containing: "upgrade failed: rolling back to the previous program")
        try await server.waitForLog(containing: "took over", times: 2)
        try await eventually("two workers") { server.workers.count == 2 }
        #expect(try server.ask().task < 2)
        #expect(try await server.end())
    }

    @Test func `Children of the new program do not become the program before`() async throws {
        let server = try await OperatedProgram(
            ["workers=2"], environment: ["PREFORK_PROBATION": "300ms", "SWIFT_BACKTRACE": "enable=no"])
        server.turnOn("new-things-children")
        server.turnOn("new-fork-children")
        server.program.send(.user2)
        // On probation, and after it.
        try await server.waitForLog(containing: "reload: generation 2 serves", times: 2)
        let ends = server.program.output.split(separator: "\n").filter { $0.contains("own child ended with") }
        #expect(ends.count == 9 && ends.allSatisfy { $0.hasSuffix("7") || $0.hasSuffix("-6") || $0.hasSuffix("-11") })
        #expect(!server.program.errors.contains("back to the previous program"))
        #expect(server.program.output.split(separator: "\n").count { $0.contains("port ") } == 3)
        #expect(try await server.end())
    }

    /// Its end is its own from then on: nothing of the program before comes back.
    @Test(arguments: [Signal.terminate, .interrupt]) func `A stop within the probation is a stop`(
        signal: Signal
    ) async throws {
        let server = try await OperatedProgram(["workers=2"], environment: ["PREFORK_PROBATION": "20s"])
        server.program.send(.user2)
        try await server.waitForLog(containing: "on probation")
        server.program.send(signal)
        #expect(try await server.program.waitForExit() == 0)
        #expect(server.program.groupSize == 0)
        #expect(!server.program.errors.contains("back to the previous program"))
    }

    @Test func `SIGKILL within the probation ends the pool, and nothing is left`() async throws {
        let path = try temporaryPath()
        let server = try await OperatedProgram(
            ["workers=2", "target=1", "unix=\(path)"], environment: ["PREFORK_PROBATION": "20s"])
        server.program.send(.user2)
        try await server.waitForLog(containing: "on probation")
        server.program.send(.kill)
        #expect(try await server.program.waitForExit() == -SIGKILL)
        try await eventually("nobody is left") { server.program.groupSize == 0 }
        // The name of a dead socket is taken over by the next start.
        let next = try await OperatedProgram(["workers=1", "unix=\(path)"])
        #expect(try await next.end())
    }

    /// There is no third program to go back to.
    @Test func `A program before that fails as well ends the pool`() async throws {
        let server = try await OperatedProgram(["workers=2"], environment: ["PREFORK_PROBATION": "20s"])
        server.turnOn("hold")
        server.turnOn("new-listeners-hang")
        server.program.send(.user2)
        try await server.program.waitForLine("new program waits")
        server.turnOn("crash-start")
        server.turnOff("hold")
        _ = try await server.program.waitForExit()
        try await eventually("nobody is left") { server.program.groupSize == 0 }
    }

    @Test(arguments: ["new-start-fatal", "new-start-exit"]) func `The tornado form has it, too`(
        end: String
    ) async throws {
        let server = try await OperatedProgram(
            ["workers=2"], environment: ["PREFORK_PROBATION": "20s"], scenario: "tornado")
        let old = Set(server.workers)
        server.turnOn(end)
        server.program.send(.user2)
        try await server.waitForLog(containing: "the new program ended")
        try await server.waitForLog(containing: "took over 2 workers")
        #expect(Set(server.workers) == old)
        #expect(old.contains(try server.ask().pid))
        server.program.send(.terminate)
        #expect(try await server.program.waitForExit() == 0)
        #expect(server.program.groupSize == 0)
    }

    @Test(.enabled(if: geteuid() == 0)) func `Workers of another user are gone on with`() async throws {
        let server = try await OperatedProgram(
            ["workers=2", "target=1"],
            environment: [
                "PREFORK_PROBATION": "20s", "PREFORK_USER": "nobody", "PREFORK_NO_NEW_PRIVILEGES": "1",
            ])
        server.turnOn("new-ready-fatal")
        server.program.send(.user2)
        try await server.waitForLog(containing: "the new program ended")
        server.turnOff("new-ready-fatal")
        try await eventually("two workers and a managed process: \(server.workers)") { server.workers.count == 3 }
        #expect(try server.ask().task < 2)
        #expect(try await server.end())
    }
}
