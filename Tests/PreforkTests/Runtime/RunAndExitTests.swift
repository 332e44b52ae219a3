// `runAndExit(on:)`: one line and an exit code for each failure, and never a crash dump.

import Glibc
import PreforkEventLoop
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct RunAndExitTests {
    private func start(
        _ scenario: String, _ address: String, of program: String = "short-fixture",
        environment: [String: String] = [:]
    ) throws -> ChildProgram {
        try ChildProgram(program, [scenario, address], environment: environment)
    }

    /// The port that it listens on by its log.
    private func port(of program: ChildProgram) async throws -> UInt16 {
        var port: UInt16?
        try await eventually("it listens\n\(program.errors)") {
            let text = "info: listening on 127.0.0.1:"
            let line = program.errors.split(separator: "\n").first { $0.contains(text) }
            port = line.flatMap { UInt16($0.split(separator: ":").last ?? "") }
            return port != nil
        }
        return port!
    }

    /// The lines of its log that are errors.
    private func errorLines(of program: ChildProgram) -> [String] {
        program.errors.split(separator: "\n").map(String.init).filter { $0.contains("] error: ") }
    }

    @Test func `It says where it listens, serves, and ends with 0 when it is stopped`() async throws {
        let program = try start("serve", "127.0.0.1:0")
        let client = try Client(port: try await port(of: program))
        try client.send("hello\n")
        #expect(String(decoding: try client.receive(), as: UTF8.self).hasPrefix("worker "))
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
        #expect(program.groupSize == 0)
    }

    @Test func `A program with an async @main does the same, with one thread in its workers`() async throws {
        let program = try start("serve", "127.0.0.1:0", of: "main-fixture")
        let client = try Client(port: try await port(of: program))
        try client.send("hello\n")
        let answer = String(decoding: try client.receive(), as: UTF8.self)
        #expect(answer.hasPrefix("worker "), "\(answer)")
        #expect(answer.hasSuffix("single-threaded \(ProcessExecutor.absence == nil)\n"), "\(answer)")
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
        #expect(program.groupSize == 0)
    }

    @Test func `An async @main that has suspended is one line and 70`() async throws {
        let program = try start("suspends", "127.0.0.1:0", of: "main-fixture")
        #expect(try await program.waitForExit() == 70)
        #expect(errorLines(of: program).first?.contains("threads and fork keeps only one") == true, "\(program.errors)")
    }

    @Test func `A port in use is one line and 75`() async throws {
        let first = try start("serve", "127.0.0.1:0")
        let address = "127.0.0.1:\(try await port(of: first))"
        for scenario in ["serve", "bind"] {
            let second = try start(scenario, address)
            #expect(try await second.waitForExit() == 75)
            let lines = errorLines(of: second)
            #expect(lines.count == 1 && second.errors.split(separator: "\n").count == 1, "\(second.errors)")
            #expect(lines.first?.contains("cannot listen: bind(\(address))") == true, "\(lines)")
        }
        first.send(.terminate)
        #expect(try await first.waitForExit() == 0)
    }

    @Test(arguments: ["8080", "nothing", "127.0.0.1:99999", ""])
    func `What is no address is one line and 64`(_ address: String) async throws {
        let program = try start("serve", address)
        #expect(try await program.waitForExit() == 64)
        #expect(program.errors.split(separator: "\n").count == 1, "\(program.errors)")
    }

    @Test func `Settings that make no sense are one line and 64, also where the port is in use`() async throws {
        let first = try start("serve", "127.0.0.1:0")
        let address = "127.0.0.1:\(try await port(of: first))"
        let environment = ["PREFORK_WORKERS": "many", "PREFORK_BOOT_TIMEOUT": "soon"]
        let second = try start("serve", address, environment: environment)
        #expect(try await second.waitForExit() == 64)
        let lines = errorLines(of: second)
        #expect(lines.count == 1 && second.errors.split(separator: "\n").count == 1, "\(second.errors)")
        #expect(lines.first?.contains("PREFORK_WORKERS=many: ") == true, "\(lines)")
        #expect(lines.first?.contains("; PREFORK_BOOT_TIMEOUT=soon: ") == true, "\(lines)")
        first.send(.terminate)
        #expect(try await first.waitForExit() == 0)
    }

    @Test func `A thread before the fork is one line and 70`() async throws {
        let program = try start("thread", "127.0.0.1:0")
        #expect(try await program.waitForExit() == 70)
        #expect(errorLines(of: program).first?.contains("threads and fork keeps only one") == true, "\(program.errors)")
    }

    @Test func `A task of the main actor before the fork is one line and 70`() async throws {
        let program = try start("task", "127.0.0.1:0")
        #expect(try await program.waitForExit() == 70)
        #expect(program.errors.split(separator: "\n").count == 1, "\(program.errors)")
        #expect(errorLines(of: program).first?.contains("would never begin") == true, "\(program.errors)")
    }

    @Test func `Too many restarts are 70, and workers that never come up 75`() async throws {
        // A backtrace of a debug build takes seconds on a busy machine.
        let environment = ["SWIFT_BACKTRACE": "enable=no"]
        let never = try start("crash", "127.0.0.1:0", environment: environment)
        #expect(try await never.waitForExit(within: .seconds(60)) == 75)
        let often = try start("serve", "127.0.0.1:0", environment: environment)
        let port = try await port(of: often)
        // A connection may be one that a crashing worker has taken, and then crashes no other.
        try await eventually("the port is closed") { (try? Client(port: port).send("crash\n")) == nil }
        #expect(try await often.waitForExit(within: .seconds(60)) == 70, "\(often.errors)")
    }
}
