// The access log: written by workers, opened and reopened by their supervisor.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct AccessLogTests {
    private final class LoggedProgram {
        let folder: String
        let program: ChildProgram

        init(_ environment: [String: String] = [:]) throws {
            folder = try temporaryPath()
            mkdir(folder, 0o700)
            program = try ChildProgram(
                "ops-fixture", ["access-log"],
                environment: environment.merging(["PREFORK_ACCESS_LOG": "\(folder)/access"]) { own, _ in own })
        }

        deinit {
            program.killGroup()
            for name in ["access", "access.1"] { unlink("\(folder)/\(name)") }
            rmdir(folder)
        }

        func lines(_ name: String = "access") -> [[Substring]] {
            read("\(folder)/\(name)").split(separator: "\n").map { $0.split(separator: " ") }
        }

        /// Waits until each worker that lives has written to the file.
        func waitForWriters(_ count: Int, in name: String = "access") async throws {
            try await eventually("\(count) writers in \(name)\n\(program.errors)") {
                Set(lines(name).compactMap { $0.dropFirst().first }).count >= count
            }
        }

        /// As logrotate(8) does it.
        func rotate() async throws {
            #expect(rename("\(folder)/access", "\(folder)/access.1") == 0)
            program.send(.user1)
            try await eventually("the log says so\n\(program.errors)") { program.errors.contains("logs reopened") }
        }
    }

    @Test func `After a rotation every worker writes to the new file, and no line is lost or torn`() async throws {
        let logged = try LoggedProgram()
        try await logged.waitForWriters(2)
        try await logged.rotate()
        try await logged.waitForWriters(2)
        let size = read("\(logged.folder)/access.1").utf8.count
        let count = logged.lines().count
        try await eventually("the new file grows") { logged.lines().count > count + 20 }
        #expect(read("\(logged.folder)/access.1").utf8.count == size, "no worker writes to the old file")
        logged.program.send(.terminate)
        #expect(try await logged.program.waitForExit() == 0)
        var next: [Substring: Int] = [:]
        for line in logged.lines("access.1") + logged.lines() {
            #expect(line.count == 3 || line.count == 4 && line[2] == "end", "\(line)")
            #expect(line.last.flatMap { Int($0) } == next[line[1], default: 0], "\(line)")
            next[line[1], default: 0] += 1
        }
        #expect(next.count == 2 && logged.lines().count { $0.contains("end") } == 2)
    }

    @Test func `A worker that is made later writes to the new file, too`() async throws {
        let logged = try LoggedProgram()
        try await logged.waitForWriters(2)
        try await logged.rotate()
        try await logged.waitForWriters(2)
        let victim = try #require(logged.lines().last?[1])
        kill(try #require(Int32(victim)), SIGKILL)
        try await logged.waitForWriters(3)
        logged.program.send(.terminate)
        #expect(try await logged.program.waitForExit() == 0)
    }

    @Test func `A stopped worker neither delays the others nor misses the new file`() async throws {
        let logged = try LoggedProgram()
        try await logged.waitForWriters(2)
        let sleeper = try #require(logged.lines().last.flatMap { Int32($0[1]) })
        kill(sleeper, SIGSTOP)
        try await logged.rotate()
        try await logged.waitForWriters(1)
        kill(sleeper, SIGCONT)
        try await logged.waitForWriters(2)
        logged.program.send(.terminate)
        #expect(try await logged.program.waitForExit() == 0)
    }

    @Test func `A file that cannot be opened anew leaves the workers in the old one`() async throws {
        let logged = try LoggedProgram()
        try await logged.waitForWriters(2)
        #expect(rename("\(logged.folder)/access", "\(logged.folder)/access.1") == 0)
        #expect(symlink("/dev/null", "\(logged.folder)/access") == 0)
        logged.program.send(.user1)
        try await eventually("it says so\n\(logged.program.errors)") {
            logged.program.errors.contains("the access log goes on in its old file")
        }
        let count = logged.lines("access.1").count
        try await eventually("the old file grows") { logged.lines("access.1").count > count + 20 }
        logged.program.send(.terminate)
        #expect(try await logged.program.waitForExit() == 0)
    }

    @Test(.enabled(if: geteuid() == 0, "only root can give workers another user"))
    func `Workers of another user append, and can open nothing there`() async throws {
        let logged = try LoggedProgram(["PREFORK_USER": "nobody"])
        try await logged.waitForWriters(2)
        let pid = try #require(logged.lines().last?[1])
        let number = try #require(
            (0..<1024).first { readLink("/proc/\(pid)/fd/\($0)") == "\(logged.folder)/access" })
        let flags = read("/proc/\(pid)/fdinfo/\(number)").split(separator: "\n").first { $0.hasPrefix("flags:") }
        let bits = try #require(flags?.split(separator: "\t").last.flatMap { Int32($0, radix: 8) })
        #expect(bits & O_ACCMODE == O_WRONLY && bits & O_APPEND != 0)
        try await logged.rotate()
        try await logged.waitForWriters(2)
        logged.program.send(.terminate)
        #expect(try await logged.program.waitForExit() == 0)
    }

    @Test func `Nothing can be sent to the supervisor's end`() throws {
        let ends = try PacketPair.makeOneWay()
        defer { closeDescriptors([ends.sending, ends.receiving]) }
        #expect(throws: SystemError("sendmsg", .brokenPipe, on: "socket \(ends.receiving)")) {
            try withUnsafeBytes(of: UInt64(1)) {
                _ = try DescriptorPassing.send($0, passing: [ends.receiving], to: ends.receiving)
            }
        }
    }
}

private func readLink(_ path: String) -> String? {
    var bytes = [CChar](repeating: 0, count: 4096)
    let count = readlink(path, &bytes, bytes.count)
    return count < 0 ? nil : String(decoding: bytes.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
