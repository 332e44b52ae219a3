// Deploys by symbolic links: what an upgrade starts, where it works, and what it goes on with.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

/// `releases/1/bin/app`, `releases/2/bin/app`, and `current`, a link to the first.
final class Releases {
    let folder: String
    var current: String { "\(folder)/current" }
    var program: String { "\(current)/bin/app" }

    init() throws {
        folder = try temporaryPath()
        mkdir(folder, 0o755)
        mkdir("\(folder)/releases", 0o755)
        for number in 1...2 {
            mkdir(release(number), 0o755)
            mkdir("\(release(number))/bin", 0o755)
            try OperatedProgram.copyFixture(to: "\(release(number))/bin/app")
        }
        point(to: 1)
    }

    deinit { _ = system("rm -rf '\(folder)'") }

    func release(_ number: Int) -> String { "\(folder)/releases/\(number)" }

    func point(to number: Int) {
        symlink("releases/\(number)", "\(folder)/next")
        rename("\(folder)/next", current)
    }

    func prune(_ number: Int) { _ = system("rm -rf '\(release(number))'") }
}

func target(ofLink path: String) -> String {
    var buffer = [CChar](repeating: 0, count: 4096)
    let count = readlink(path, &buffer, buffer.count)
    return count < 0 ? "" : String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

@Suite(.timeLimit(.minutes(2))) struct ReleaseTests {
    /// How the service is started: by its path, by one that is relative, or by its name in PATH.
    enum Start: String, CaseIterable, Sendable {
        case path, relative, name

        func preparation(_ releases: Releases) -> String {
            switch self {
            case .path: "cd '\(releases.current)'"
            case .relative: "cd '\(releases.current)'; exec bin/app \"$@\""
            case .name: "cd '\(releases.current)'; PATH='\(releases.current)/bin':\"$PATH\"; exec app \"$@\""
            }
        }
    }

    /// nginx takes the new release. Prefork executed the old one, said "upgraded", and failed when that was pruned.
    @Test(arguments: Start.allCases) func anUpgradeFollowsTheLinkAgain(start: Start) async throws {
        let releases = try Releases()
        let server = try await OperatedProgram(
            ["workers=2"], path: releases.program, preparation: start.preparation(releases))
        let process = "/proc/\(server.program.pid)"
        #expect(target(ofLink: "\(process)/cwd") == releases.release(1))
        releases.point(to: 2)
        releases.prune(1)
        server.program.send(.user2)
        try await server.waitForLog(containing: "reload: generation 2 serves")
        #expect(target(ofLink: "\(process)/exe") == "\(releases.release(2))/bin/app")
        #expect(target(ofLink: "\(process)/cwd") == releases.release(2))
        try await eventually("the workers are there") {
            server.workers.allSatisfy { target(ofLink: "/proc/\($0)/cwd") == releases.release(2) }
        }
        mkdir(releases.release(3), 0o755)
        mkdir("\(releases.release(3))/bin", 0o755)
        try OperatedProgram.copyFixture(to: "\(releases.release(3))/bin/app")
        releases.point(to: 3)
        releases.prune(2)
        server.program.send(.user2)
        try await server.waitForLog(containing: "reload: generation 3 serves")
        #expect(target(ofLink: "\(process)/exe") == "\(releases.release(3))/bin/app")
        #expect(try await server.end())
    }

    @Test func aRollbackLeadsToTheReleaseAndTheDirectoryBefore() async throws {
        let releases = try Releases()
        let control = try temporaryPath()
        let server = try await OperatedProgram(
            ["workers=2"], environment: ["PREFORK_CONTROL": control], path: releases.program,
            preparation: "cd '\(releases.current)'")
        releases.point(to: 2)
        server.program.send(.user2)
        try await server.waitForLog(containing: "reload: generation 2 serves")
        let rollback = try ChildProgram("preforkctl", ["--socket", control, "rollback", "--wait"])
        #expect(try await rollback.waitForExit() == 0, "\(rollback.errors)")
        let process = "/proc/\(server.program.pid)"
        #expect(target(ofLink: "\(process)/exe") == "\(releases.release(1))/bin/app")
        #expect(target(ofLink: "\(process)/cwd") == releases.release(1))
        server.program.send(.user2)
        try await server.waitForLog(containing: "reload: generation 4 serves")
        #expect(target(ofLink: "\(process)/exe") == "\(releases.release(2))/bin/app")
        #expect(target(ofLink: "\(process)/cwd") == releases.release(2))
        #expect(try await server.end())
    }

    @Test func theRollbackLeadsToTheReleaseAndTheDirectoryBefore() async throws {
        let releases = try Releases()
        let server = try await OperatedProgram(
            ["workers=2"], path: releases.program, preparation: "cd '\(releases.current)'")
        releases.point(to: 2)
        server.turnOn("crash-worker")
        server.program.send(.user2)
        try await server.waitForLog(containing: "took over", times: 2)
        let process = "/proc/\(server.program.pid)"
        #expect(target(ofLink: "\(process)/exe") == "\(releases.release(1))/bin/app")
        #expect(target(ofLink: "\(process)/cwd") == releases.release(1))
        server.turnOff("crash-worker")
        server.program.send(.user2)
        try await server.waitForLog(containing: "serves, after")
        #expect(target(ofLink: "\(process)/exe") == "\(releases.release(2))/bin/app")
        #expect(try await server.end())
    }
}

@Suite(.timeLimit(.minutes(2))) struct UpgradeCounterTests {
    /// 200 requests were 0 after an upgrade, while the uptime went on.
    @Test(arguments: [false, true]) func countersGoOn(goesBack: Bool) async throws {
        let socket = try temporaryPath()
        let server = try await OperatedProgram(
            ["workers=2"], environment: ["PREFORK_CONTROL": socket, "SWIFT_BACKTRACE": "enable=no"])
        func counters() async throws -> [String: Double] {
            let tool = try ChildProgram("preforkctl", ["--socket", socket, "metrics"])
            guard try await tool.waitForExit() == 0 else { throw ClientError.strange(tool.errors) }
            var counters: [String: Double] = [:]
            for line in tool.output.split(separator: "\n") where !line.hasPrefix("#") {
                let words = line.split(separator: " ")
                if words.count == 2 { counters[String(words[0])] = Double(words[1]) }
            }
            return counters
        }
        for _ in 0..<20 { _ = try server.ask() }
        _ = try? get("/crash/fatal", port: server.port)
        try await eventually("the crash is counted, and its worker replaced") {
            try await counters()["prefork_restart_kinds_total{kind=\"request\"}"] == 1 && server.workers.count == 2
        }
        let before = try await counters()
        func crashes() async throws -> String {
            let tool = try ChildProgram("preforkctl", ["--socket", socket, "crashes"])
            _ = try await tool.waitForExit()
            return tool.output
        }
        let crash = try await crashes()
        #expect(crash.contains("/crash/fatal"))
        if goesBack { server.turnOn("crash-worker") }
        server.program.send(.user2)
        try await server.waitForLog(
            containing: goesBack ? "rolling back to the previous program" : "reload: generation 2 serves")
        if goesBack { try await server.waitForLog(containing: "took over", times: 2) }
        let after = try await counters()
        let names = [
            "prefork_requests_total", "prefork_boot_seconds_count", "prefork_boot_seconds_sum",
            "prefork_restart_kinds_total{kind=\"request\"}", "prefork_restarts_total{cause=\"signal\"}",
        ]
        for name in names { #expect(after[name] ?? 0 >= before[name] ?? -1, "\(name)") }
        #expect(before["prefork_requests_total"] ?? 0 >= 20)
        let report = crash.split(separator: "\n").dropFirst().joined(separator: "\n")
        let later = try await crashes().split(separator: "\n").joined(separator: "\n")
        #expect(later.contains(report), "the report is there as it was")
        let result = goesBack ? "aborted" : "done"
        #expect(after["prefork_reloads_total{result=\"\(result)\"}"] == 1)
        #expect(try await server.end())
    }
}

@Suite(.timeLimit(.minutes(2))) struct ProgramWordTests {
    @Test func aNewBacklogAndModeAreTaken() async throws {
        let control = try temporaryPath()
        let path = try temporaryPath()
        let server = try await OperatedProgram(
            ["workers=2", "unix=\(path)"], environment: ["PREFORK_CONTROL": control])
        func tool(_ words: String...) async throws -> (code: Int32, output: String) {
            let program = try ChildProgram("preforkctl", ["--socket", control] + words)
            return (try await program.waitForExit(within: .seconds(60)), program.output + program.errors)
        }
        func mode() -> UInt32 {
            var status = stat()
            return lstat(path, &status) == 0 ? status.st_mode & 0o777 : 0
        }
        #expect(mode() == 0o600)
        server.turnOn("short-queue")
        server.turnOn("open-mode")
        let upgrade = try await tool("upgrade", "--wait")
        #expect(upgrade.code == 0 && upgrade.output.contains("backlog 7 instead of backlog 1024"), "\(upgrade)")
        #expect(upgrade.output.contains("mode 666 instead of"), "\(upgrade)")
        #expect(mode() == 0o666)
        let rows = try await tool("listeners").output.split(separator: "\n").filter { $0.contains("127.0.0.1") }
        #expect(rows.first?.split(separator: " ").last == "7", "\(rows)")
        #expect(try await server.end())
    }

    @Test func moreQueuesAreTakenAndOneQueueIsRefusedByName() async throws {
        let control = try temporaryPath()
        let server = try await OperatedProgram(["workers=3", "queues=2"], environment: ["PREFORK_CONTROL": control])
        func upgrade() async throws -> (code: Int32, output: String) {
            let program = try ChildProgram("preforkctl", ["--socket", control, "upgrade", "--wait"])
            return (try await program.waitForExit(within: .seconds(60)), program.output + program.errors)
        }
        server.turnOn("one-queue")
        let refused = try await upgrade()
        #expect(refused.code == 1 && refused.output.contains("nothing has changed"), "\(refused)")
        #expect(refused.output.contains("which cannot become sharedQueue"), "\(refused)")
        server.turnOff("one-queue")
        server.turnOn("more-queues")
        let load = try await ConstantLoad(on: server.port)
        let taken = try await upgrade()
        #expect(taken.code == 0 && taken.output.contains("5 queues instead of"), "\(taken)")
        let result = try await load.stop()
        #expect(result.failures == 0, "\(result)")
        // What there is more stays, and is served.
        server.turnOff("more-queues")
        let fewer = try await upgrade()
        #expect(fewer.code == 0, "\(fewer)")
        #expect(try await server.end())
    }
}
