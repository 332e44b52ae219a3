// A trial that is killed, or meets an error, at each of its steps.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(6))) struct TrialStepTests {
    /// The steps of the fixture's main program, in order.
    private static let places = ["start", "things", "listeners", "run"]
    /// The system calls that a trial makes. Each is a step where it comes first.
    private static let calls = [
        "openat", "read", "write", "fcntl", "mmap", "munmap", "ftruncate", "memfd_create", "socket", "bind", "listen",
        "getsockname", "setsockopt", "unlinkat", "linkat", "timerfd_create", "ioctl", "getrandom", "exit_group", "close",
        "newfstatat", "pipe2",
    ]

    /// All that a trial must not touch.
    private struct Sight: Equatable {
        var workers: Set<Int32>
        var raised: String
        var jobs: String
        var files: [String]
        var mode: mode_t

        init(_ server: OperatedProgram, _ path: String) throws {
            workers = Set(server.workers)
            raised = server.program.output.split(separator: "\n").first { $0.hasPrefix("raised ") }.map(String.init) ?? ""
            jobs = try get("/jobs", port: server.port).body
            files = entries(server.folder).filter { !$0.hasPrefix("trial-") }.sorted()
            var status = stat()
            mode = lstat(path, &status) == 0 ? status.st_mode : 0
        }
    }

    private func start() async throws -> (server: OperatedProgram, path: String) {
        let path = try temporaryPath()
        let server = try await OperatedProgram(
            ["workers=2", "unix=\(path)", "jobs=3", "notes=1", "raise=1", "boot=5000"],
            environment: ["SWIFT_BACKTRACE": "enable=no", "PREFORK_PID_FILE": path + ".pid"])
        // A socket that each trial binds.
        server.turnOn("more-0")
        return (server, path)
    }

    /// - Returns: whether the upgrade was refused. Then nothing has changed.
    private func tryUpgrade(
        _ server: OperatedProgram, _ path: String, _ step: String, number: Int
    ) async throws -> Bool {
        let (before, descriptors) = (try Sight(server, path), server.program.openDescriptors)
        let refusals = server.count("upgrade refused, nothing has changed")
        server.turnOn(step)
        server.program.send(.user2)
        try await server.waitForLog("\(step): an end of the upgrade") { _ in
            server.count("upgrade refused, nothing has changed") > refusals || server.count("serves, after") > number
        }
        server.turnOff(step)
        guard server.count("upgrade refused, nothing has changed") > refusals else {
            try await eventually("\(step): two workers") { server.workers.count == 2 }
            server.turnOff("more-\(number)")
            server.turnOn("more-\(number + 1)")
            return false
        }
        let after = try Sight(server, path)
        #expect(after == before, "\(step)")
        try await eventually("\(step): no descriptor more") { server.program.openDescriptors <= descriptors }
        #expect(server.program.groupSize == 3, "\(step)")
        return true
    }

    @Test func `Killed at each step it changes nothing`() async throws {
        let (server, path) = try await start()
        let load = try await ConstantLoad(on: server.port)
        var done = 0
        var passed: [String] = []
        for step in Self.places.map({ "trial-step-\($0)" }) + Self.calls.map({ "trial-call-\($0)-0" }) {
            if try await !tryUpgrade(server, path, step, number: done) {
                done += 1
                passed.append(step)
            }
        }
        // A trial makes some of the calls on some machines only.
        #expect(passed.count < 8, "\(passed)")
        let result = try await load.stop()
        #expect(result.failures == 0, "\(result)")
        #expect(try await server.end())
    }

    @Test(arguments: [EMFILE, ENOMEM]) func `With an error at each step it changes nothing, or goes on`(
        error: Int32
    ) async throws {
        let (server, path) = try await start()
        let load = try await ConstantLoad(on: server.port)
        var done = 0
        for call in Self.calls where call != "exit_group" {
            if try await !tryUpgrade(server, path, "trial-call-\(call)-\(error)", number: done) { done += 1 }
        }
        let result = try await load.stop()
        #expect(result.failures == 0, "\(result)")
        #expect(try await server.end())
    }
}
