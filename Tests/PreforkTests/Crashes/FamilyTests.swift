// What is left of a service and of what its workers have started.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct FamilyTests {
    private struct Family {
        let program: ChildProgram
        var subprocesses: [Int32] = []
        var grandchildren: [Int32] = []
        var detached: [Int32] = []

        init(environment: [String: String] = [:]) async throws {
            program = try ChildProgram("fork-fixture", ["family"], environment: environment)
            for worker in 0..<2 { try await program.waitForLine("started \(worker)") }
            subprocesses = numbers("family ")
            grandchildren = numbers("grandchild ")
            detached = numbers("detached ")
            #expect(subprocesses.count == 4 && grandchildren.count == 2 && detached.count == 2)
        }

        private func numbers(_ word: String) -> [Int32] {
            program.output.split(separator: "\n").filter { $0.hasPrefix(word) }.compactMap {
                Int32($0.dropFirst(word.count))
            }
        }

        func end() {
            for pid in subprocesses + grandchildren + detached { kill(pid, SIGKILL) }
        }
    }

    private func isGone(_ pid: Int32) -> Bool { kill(pid, 0) != 0 || isZombie(pid) }

    @Test(arguments: [Signal.terminate, .interrupt, .quit])
    func nothingIsLeftAfterAStopButWhatIsDetached(signal: Signal) async throws {
        let family = try await Family()
        defer { family.end() }
        family.program.send(signal)
        #expect(try await family.program.waitForExit() == 0)
        for pid in family.subprocesses + family.grandchildren {
            try await eventually("\(pid) is gone") { isGone(pid) }
        }
        for pid in family.detached { #expect(!isGone(pid)) }
    }

    @Test func theProgramsOfAWorkerEndWithTheSupervisorThatIsKilled() async throws {
        let family = try await Family()
        defer { family.end() }
        family.program.send(.kill)
        _ = try await family.program.waitForExit()
        for pid in family.subprocesses { try await eventually("\(pid) is gone") { isGone(pid) } }
        for pid in family.detached { #expect(!isGone(pid)) }
    }

    /// Where orphans come to the supervisor. Elsewhere the grandchild, to which no signal of the kernel's goes, stays.
    @Test(arguments: [Signal.kill, .segmentationFault], [true, false])
    func whatAWorkerHasStartedEndsWithTheWorkerThatIsKilled(signal: Signal, adopts: Bool) async throws {
        let family = try await Family(
            environment: ["PREFORK_ADOPT_ORPHANS": adopts ? "on" : "off", "SWIFT_BACKTRACE": "enable=no"])
        defer {
            family.program.killGroup()
            for line in family.program.output.split(separator: "\n") {
                if let pid = line.split(separator: " ").last.flatMap({ Int32($0) }), pid > 1 { kill(pid, SIGKILL) }
            }
        }
        for worker in family.program.children { kill(worker, signal.rawValue) }
        for pid in family.subprocesses + (adopts ? family.grandchildren : []) {
            try await eventually("\(pid) is gone") { isGone(pid) }
        }
        for pid in family.detached + (adopts ? [] : family.grandchildren) { #expect(!isGone(pid)) }
    }

    /// Ctrl-C at a terminal: SIGINT of the kernel's to the foreground group, in which subprocesses are not.
    @Test func nothingIsLeftAfterControlCAtATerminal() async throws {
        let terminal = try Terminal()
        let program = try terminal.start(ChildProgram.path(of: "fork-fixture"), ["family"])
        defer { kill(program, SIGKILL) }
        try await eventually("both workers have started their programs\n\(terminal.text)") {
            terminal.read()
            return terminal.text.contains("started 0") && terminal.text.contains("started 1")
        }
        terminal.type(3)
        var status: Int32 = 0
        try await eventually("the end\n\(terminal.text)") {
            terminal.read()
            return waitpid(program, &status, WNOHANG) == program
        }
        #expect(status == 0)
        var own = 0
        for line in terminal.text.split(whereSeparator: \.isNewline) {
            let words = line.split(separator: " ")
            guard words.count == 2, let pid = Int32(words[1]) else { continue }
            if words[0] == "detached" { kill(pid, SIGKILL) }
            guard words[0] == "family" || words[0] == "grandchild" else { continue }
            own += 1
            try await eventually("\(line) is gone") { isGone(pid) }
        }
        #expect(own == 6)
    }
}

/// A pseudo-terminal with a program as its session.
private final class Terminal {
    private let primary: Int32
    private let name: String
    private(set) var text = ""

    init() throws {
        let terminal = try openTerminal()
        primary = terminal.primary
        defer { close(terminal.replica) }
        var path = [CChar](repeating: 0, count: 64)
        guard readlink("/proc/self/fd/\(terminal.replica)", &path, 63) > 0 else {
            throw NotInTime(description: "no terminal: errno \(errno)")
        }
        name = String(decoding: path.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        try setNonBlocking(primary)
    }

    deinit { close(primary) }

    /// The first terminal that the leader of a new session opens is its own.
    func start(_ path: String, _ arguments: [String]) throws -> Int32 {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for number in Int32(0)...2 { posix_spawn_file_actions_addopen(&actions, number, name, O_RDWR, 0) }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(&attributes, Int16(0x80 | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var argv = ([path] + arguments).map { strdup($0) } + [nil]
        defer { argv.forEach { free($0) } }
        var child: pid_t = 0
        let code = posix_spawn(&child, path, &actions, &attributes, &argv, environ)
        guard code == 0 else { throw NotInTime(description: "posix_spawn: \(code)") }
        return child
    }

    func read() {
        var bytes = [UInt8](repeating: 0, count: 4096)
        while case let count = Glibc.read(primary, &bytes, bytes.count), count > 0 {
            text += String(decoding: bytes.prefix(count), as: UTF8.self)
        }
    }

    func type(_ byte: UInt8) {
        var byte = byte
        _ = write(primary, &byte, 1)
    }
}
