// The table of descriptors and the rights of each kind of process, compared with the processes themselves.

import Glibc
import PreforkSupervisor
import PreforkSystem
import PreforkTestSupport
import Testing

private struct Has {
    var kind: String
    var pid: Int32
    var number: Int32
    var access: String
    var target: String
}

/// The fixture with everything that a supervisor can have open.
private final class RightsProgram {
    let program: ChildProgram
    let folder: String
    private let isRoot = geteuid() == 0

    init(_ preparation: String? = nil) throws {
        folder = try temporaryPath()
        mkdir(folder, 0o755)
        var environment = [
            "PREFORK_CONTROL": "\(folder)/control", "PREFORK_METRICS": "127.0.0.1:0",
            "PREFORK_PID_FILE": "\(folder)/pid", "PREFORK_LOG_FILE": "\(folder)/log",
            "PREFORK_ACCESS_LOG": "\(folder)/access", "PREFORK_HEARTBEAT": "30s",
            "PREFORK_UMASK": "027", "PREFORK_NO_NEW_PRIVILEGES": "on", "NOTIFY_SOCKET": "\(folder)/notify",
            "WATCHDOG_USEC": "30000000", "LISTEN_FDS": "1", "LISTEN_PID": "1",
            // A worker that was a spare has what the others have.
            "PREFORK_SPARES": "1",
        ]
        if isRoot { environment["PREFORK_USER"] = "nobody" }
        program = try ChildProgram("manager-fixture", ["rights"], environment: environment, preparation: preparation)
    }

    deinit {
        program.killGroup()
        for name in entries(folder) { unlink("\(folder)/\(name)") }
        rmdir(folder)
    }

    var lines: [[Substring]] {
        program.output.split(separator: "\n").map { $0.split(separator: " ", maxSplits: 5) }
    }

    var log: String { read("\(folder)/log") }

    func processes(_ kind: String) -> Set<Int32> {
        Set(lines.filter { $0[0] == "rights" && $0[1] == kind }.compactMap { Int32($0[2]) })
    }

    func waitFor(_ count: Int, _ kind: String) async throws {
        try await eventually("\(count) of kind \(kind)\n\(program.output)\n\(log)") { processes(kind).count >= count }
    }

    func waitForLog(_ text: String, times: Int = 1) async throws {
        try await eventually("\(times) \(text)\n\(log)") {
            log.split(separator: "\n").count { $0.contains(text) } >= times
        }
    }

    /// What children have and the table does not give them. Must be empty.
    func violations() -> [String] {
        let lines = lines
        let has = lines.filter { $0.count == 6 && $0[0] == "has" }.map {
            Has(
                kind: String($0[1]), pid: Int32($0[2]) ?? 0, number: Int32($0[3]) ?? -1, access: String($0[4]),
                target: String($0[5]))
        }
        let own = Set(lines.filter { $0[0] == "own" }.map { "\($0[2]) \($0.dropFirst(3).joined(separator: " "))" })
        let held = lines.filter { $0.count > 4 && $0[0] == "held" }
        let news = Set(lines.filter { $0[0] == "news" }.map { "\($0[1]) \($0[2])" })
        let bells = Set(lines.filter { $0[0] == "bell" }.map { "\($0[1]) \($0[2])" })
        let accessLogs = Set(held.filter { $0[2] == "accessLog" }.map { $0.dropFirst(4).joined(separator: " ") })
        let lifelines = Set(held.filter { $0[2] == "lifeline" }.map { "\($0[3]) \($0[4])" })
        /// By the kind of process, what is unmistakably the supervisor's: of other things there are several alike.
        func forbidden(_ kind: ProcessKind) -> Set<String> {
            // What is handed over is listed again under its own role when it was taken.
            let others = held.filter { $0[2] != "handover" }.filter { line in
                DescriptorRole(rawValue: String(line[2])).map { !DescriptorTable.keeps($0, kind) } ?? true
            }
            let targets = others.map { $0.dropFirst(4).joined(separator: " ") }
            return Set(targets.filter { $0.hasPrefix("socket:") || $0.hasPrefix("/tmp") })
        }
        let supervisors = Dictionary(uniqueKeysWithValues: ProcessKind.allCases.map { ($0.rawValue, forbidden($0)) })
        var wrong: [String] = []
        for found in has where found.number > 2 && !found.target.hasPrefix("/proc/") {
            let place = "\(found.number) \(found.target)"
            if supervisors[found.kind]?.contains(found.target) == true {
                wrong.append("\(found) is the supervisor's own")
            }
            if found.kind == "trial" {
                let isOwn = own.contains(place) || found.target.hasPrefix("socket:")
                if !isOwn, !found.target.hasPrefix("/dev/") { wrong.append("\(found) in a trial") }
                continue
            }
            if own.contains(place) { continue }
            if lifelines.contains(place) {
                if found.access != "read" { wrong.append("\(found) can be written to") }
                continue
            }
            if found.kind == "worker", accessLogs.contains(found.target) {
                if found.access != "write" { wrong.append("\(found) can be read") }
                continue
            }
            if found.kind == "worker", news.contains("\(found.pid) \(found.number)") { continue }
            if found.target == "anon_inode:[timerfd]", bells.contains("\(found.pid) \(found.number)") { continue }
            // Bells that the child itself has made.
            if found.target == "anon_inode:[eventfd]" { continue }
            wrong.append("\(found) is in no row")
        }
        return wrong
    }
}

@Suite(.timeLimit(.minutes(2))) struct RightsTests {
    @Test func theManualHasTheTable() throws {
        let page = "\(packageRoot)/Sources/Prefork/Documentation.docc/DescriptorsAndRights.md"
        #expect(read(page).contains("\n" + DescriptorTable.markdown), "\(DescriptorTable.markdown)")
    }

    /// At the start, after a crash of each, a reload and an upgrade.
    @Test func everyProcessHasWhatTheTableGivesItAndNothingElse() async throws {
        let program = try RightsProgram()
        try await program.waitFor(2, "worker")
        try await program.waitFor(1, "managed")
        try await program.waitFor(1, "privileged")
        try await program.waitForLog("all 2 workers are ready")
        // A client of the control socket stays connected over all of it.
        let client = try Socket.open(for: .unix(path: "\(program.folder)/control"))
        defer { close(client) }
        try Socket.connect(client, to: .unix(path: "\(program.folder)/control"))
        for kind in ["worker", "managed", "privileged"] { kill(program.processes(kind).first ?? 0, SIGKILL) }
        try await program.waitFor(3, "worker")
        try await program.waitFor(2, "managed")
        try await program.waitFor(2, "privileged")
        try await program.waitForLog("worker", times: 3)
        program.program.send(.hangUp)
        try await program.waitForLog("reload: generation 2 serves")
        program.program.send(.user2)
        try await program.waitForLog("reload: generation 3 serves")
        try await program.waitFor(3, "managed")
        #expect(program.processes("worker").count >= 7)
        #expect(program.violations() == [])
        #expect(program.lines.contains { $0[0] == "has" && $0[1] == "trial" })
        let roles = Set(program.lines.filter { $0[0] == "held" }.map { String($0[2]) })
        for role in ["pidFile", "logFile", "controlSocket", "metricsSocket", "notifySocket", "epoll", "lifelineHold"] {
            #expect(roles.contains(role), "the test has met \(role)")
        }
        program.program.send(.terminate)
        #expect(try await program.program.waitForExit() == 0)
    }

    @Test func managedProcessesHaveTheWorkersRightsUnlessTheySayOtherwise() async throws {
        let program = try RightsProgram()
        try await program.waitFor(2, "worker")
        try await program.waitFor(1, "managed")
        try await program.waitFor(1, "privileged")
        func rights(_ kind: String) -> String {
            let line = program.program.output.split(separator: "\n").first { $0.hasPrefix("rights \(kind) ") } ?? ""
            return line.split(separator: " ").dropFirst(3).joined(separator: " ")
        }
        #expect(rights("managed") == rights("worker"))
        #expect(rights("managed").contains("nnp 1 umask 0027 dies true variables []"))
        #expect(rights("privileged").contains("nnp 0"))
        #expect(rights("privileged").hasSuffix("dies true variables []"))
        if geteuid() == 0 {
            #expect(rights("managed").hasPrefix("uid 65534,65534,65534,65534 gid 65534,65534,65534,65534"))
            // A session and a session keyring of its own.
            #expect(rights("managed").contains("caps 0000000000000000 apart true"))
            #expect(rights("privileged").hasPrefix("uid 0,0,0,0") && rights("privileged").contains("apart false"))
            #expect(
                program.log.split(separator: "\n").count {
                    $0.contains("warning: privileged keeps the supervisor's rights, which are root's")
                } == 1)
        }
    }

    /// The same variables hold for a manager without a pool.
    @Test func aPlainManagerGivesRightsUpAsThePoolDoes() async throws {
        let variables = ["PREFORK_UMASK": "077", "NOTIFY_SOCKET": "/nowhere", "LISTEN_FDS": "1", "LISTEN_PID": "1"]
        let user = geteuid() == 0 ? ["PREFORK_USER": "nobody"] : [:]
        let program = try ChildProgram(
            "manager-fixture", ["plain-rights"], environment: variables.merging(user) { first, _ in first })
        #expect(try await program.waitForExit() == 0)
        let lines = program.output.split(separator: "\n")
        let managed = lines.first { $0.hasPrefix("rights managed") } ?? ""
        #expect(managed.contains("umask 0077 dies true variables []"), "\(program.output)")
        if geteuid() == 0 {
            #expect(managed.contains("uid 65534,65534,65534,65534") && managed.contains("apart true"))
            #expect(lines.contains { $0.hasPrefix("rights privileged") && $0.contains("uid 0,0,0,0") })
            #expect(lines.contains("log privileged keeps the supervisor's rights, which are root's"))
        }
        let refused = try ChildProgram(
            "manager-fixture", ["plain-rights"], environment: ["PREFORK_USER": "no-such-user"])
        #expect(try await refused.waitForExit() == 75)
        #expect(refused.output.contains("there is no user 'no-such-user'"))
    }

    /// Otherwise the first descriptors that are opened are taken for the standard streams, and the log is written into
    /// shared memory.
    @Test func closedStandardStreamsAreNotTakenByOthers() async throws {
        let program = try ChildProgram("manager-fixture", ["plain-rights"], preparation: "exec 0<&- 2>&-")
        #expect(try await program.waitForExit() == 0)
        for kind in ["managed", "privileged"] {
            let has = program.output.split(separator: "\n").filter { $0.hasPrefix("has \(kind) ") }
            #expect(has.contains { $0.hasSuffix(" 0 both /dev/null") }, "\(program.output)")
            // Standard error is the child's own: the supervisor reads it.
            #expect(has.contains { $0.contains(" 2 ") }, "\(program.output)")
        }
    }
}
