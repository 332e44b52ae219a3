// What a started program finds: arguments, environment, descriptors, signals, group, rights.

import Glibc
import PreforkEventLoop
import PreforkSubprocess
import PreforkSystem
import PreforkTestSupport
import Testing

/// Standard output of a command that must succeed, as text without the last line feed.
func text(_ command: Command) async throws -> String {
    let output = try await Subprocess.run(command).check()
    let text = output.stdoutText
    return text.hasSuffix("\n") ? String(text.dropLast()) : text
}

/// A field of /proc/self/status in a started program.
func status(_ field: String, _ change: (inout Command) -> Void = { _ in }) async throws -> String {
    var command = Command("cat", "/proc/self/status")
    change(&command)
    let line = try await text(command).split(separator: "\n").first { $0.hasPrefix(field + ":") }
    return String(try #require(line).dropFirst(field.count + 1).drop { $0 == "\t" || $0 == " " })
}

let isRoot = getuid() == 0

@Suite(.timeLimit(.minutes(2))) struct SpawnTests {
    @Test func argumentsArriveLiterally() async throws {
        let arguments = ["%s|", "a b", "", "$HOME", "'", "\n", "ü"]
        let command = Command("printf", arguments[0], "a b", "", "$HOME", "'", "\n", "ü")
        #expect(try await text(command) == arguments.dropFirst().map { $0 + "|" }.joined())
    }

    @Test func bytesThatAreNotUTF8ArriveUnchanged() async throws {
        let bytes: [UInt8] = [0xFF, 0xC3, 0x28, 0x80]
        var command = Command(.name("printenv"), arguments: ["RAW"])
        command.environment["RAW"] = RawText(bytes: bytes)
        #expect(try await Subprocess.run(command).check().stdout == bytes + [10])
        let echo = Command(.name("printf"), arguments: ["%s", RawText(bytes: bytes)])
        #expect(try await Subprocess.run(echo).check().stdout == bytes)
    }

    @Test func argument0CanBeChosen() async throws {
        var command = Command("cat", "/proc/self/cmdline")
        command.argument0 = "dog"
        #expect(try await text(command) == "dog\0/proc/self/cmdline\0")
    }

    @Test func theEnvironmentIsInheritedWithEdits() async throws {
        setenv("PREFORK_TEST_A", "a", 1)
        setenv("PREFORK_TEST_B", "b", 1)
        setenv("PREFORK_TEST_AB", "ab", 1)
        var command = Command("sh", "-c", "echo ${PREFORK_TEST_A-unset} ${PREFORK_TEST_B-unset} $PREFORK_TEST_AB $NEW")
        command.environment["PREFORK_TEST_A"] = nil
        command.environment["PREFORK_TEST_B"] = "other"
        command.environment["NEW"] = "first"
        command.environment["NEW"] = "new"
        #expect(try await text(command) == "unset other ab new")
        #expect(command.environment["NEW"] == "new")
        #expect(command.environment["PREFORK_TEST_A"] == nil)
        #expect(command.environment["PREFORK_TEST_AB"] == "ab")
    }

    @Test func anExactEnvironmentHasNothingElse() async throws {
        var command = Command("env")
        command.environment = .only(["B": "2", "A": "1"])
        #expect(try await text(command) == "A=1\nB=2")
        command.environment = .only([:])
        #expect(try await text(command) == "")
    }

    @Test func theWorkingDirectoryIsTheChilds() async throws {
        var command = Command("pwd", "-P")
        command.workingDirectory = "/usr/lib"
        #expect(try await text(command) == "/usr/lib")
    }

    @Test func aRelativeProgramIsRelativeToThisProcess() async throws {
        let directory = try temporaryPath()
        mkdir(directory, 0o755)
        defer { rmdir(directory) }
        let script = try Script("#!/bin/sh\npwd -P\n")
        // The tests may run anywhere: up to the root and down again is relative everywhere.
        let depth = String(repeating: "../", count: 20)
        var command = Command(.path(RawText(depth + script.path.dropFirst())))
        command.workingDirectory = RawText(directory)
        #expect(try await text(command) == directory)
    }

    @Test func noSignalIsBlockedOrIgnored() async throws {
        #expect(try await status("SigBlk") == "0000000000000000")
        // What the test run was started with, a job of nohup(1) for example, is its programs', too.
        let own = read("/proc/self/status").split(separator: "\n").first { $0.hasPrefix("SigIgn:") }
        let isIgnored = UInt64(try #require(own).split(separator: "\t")[1], radix: 16) ?? 0
        let ignored = try #require(UInt64(try await status("SigIgn"), radix: 16))
        #expect(ignored & ~isIgnored == 0 && ignored & 1 << UInt64(SIGPIPE - 1) == 0)
    }

    @Test func nothingButStdioIsOpen() async throws {
        let leaked = open("/dev/null", O_RDONLY)
        let high = fcntl(leaked, F_DUPFD, 900)
        defer { [leaked, high].forEach { close($0) } }
        // ls has the directory itself open as 3.
        #expect(try await text(Command("ls", "/proc/self/fd")) == "0\n1\n2\n3")
    }

    @Test func moreDescriptorsArriveByNumber() async throws {
        let (a, b) = (try TextFile("first"), try TextFile("second"))
        let (first, second) = (open(a.path, O_RDONLY | O_CLOEXEC), open(b.path, O_RDONLY | O_CLOEXEC))
        defer { [first, second].forEach { close($0) } }
        var command = Command("sh", "-c", "cat <&7; cat <&5; ls /proc/self/fd")
        command.descriptors = [5: second, 7: first]
        #expect(try await text(command) == "firstsecond0\n1\n2\n3\n5\n7")
    }

    @Test func descriptorsThatChangePlacesArriveRight() async throws {
        let (a, b) = (try TextFile("first"), try TextFile("second"))
        let (first, second) = (open(a.path, O_RDONLY | O_CLOEXEC), open(b.path, O_RDONLY | O_CLOEXEC))
        defer { [first, second].forEach { close($0) } }
        var command = Command("cat", "/proc/self/fd/\(first)", "/proc/self/fd/\(second)")
        command.descriptors = [first: second, second: first]
        #expect(try await text(command) == "secondfirst")
        command.descriptors = [first: first, second: second]
        #expect(try await text(command) == "firstsecond")
    }

    @Test func theGroupIsAsAskedFor() async throws {
        func groups(_ group: Command.Group) async throws -> (pid: Int32, group: Int32, session: Int32) {
            var command = Command("cat", "/proc/self/stat")
            command.group = group
            let fields = try await text(command).split(separator: " ")
            return (Int32(fields[0])!, Int32(fields[4])!, Int32(fields[5])!)
        }
        let inherited = try await groups(.inherit)
        #expect(inherited.group == getpgrp())
        #expect(inherited.session == getsid(0))
        for group in [Command.Group.automatic, .new] {
            let new = try await groups(group)
            #expect(new.group == new.pid)
            #expect(new.session == getsid(0))
        }
        let session = try await groups(.session)
        #expect(session.group == session.pid)
        #expect(session.session == session.pid)
        let leader = try await Subprocess.spawn(Command("cat", stdin: .stream))
        #expect(try await groups(.join(leader.pid)).group == leader.pid)
        leader.stdin?.close()
        try await leader.waitForExit()
    }

    @Test(.enabled(if: isRoot)) func rightsAreGivenUp() async throws {
        let identity = Command.Identity(user: 65534, group: 65533, supplementaryGroups: [65532, 65531])
        #expect(try await status("Uid") { $0.identity = identity } == "65534\t65534\t65534\t65534")
        #expect(try await status("Gid") { $0.identity = identity } == "65533\t65533\t65533\t65533")
        #expect(
            try await status("Groups") { $0.identity = identity }.split(separator: " ").sorted() == ["65531", "65532"])
        // Groups of this process are not kept by accident.
        #expect(try await status("Groups") { $0.identity = .init(user: 65534) }.isEmpty)
        #expect(try await status("CapEff") { $0.identity = identity } == "0000000000000000")
    }

    @Test func settingsOfTheProcessArrive() async throws {
        #expect(try await status("Umask") { $0.umask = 0o027 } == "0027")
        #expect(try await status("NoNewPrivs") { $0.noNewPrivileges = true } == "1")
        #expect(try await status("NoNewPrivs") == "0")
        var nice = Command("nice")
        nice.niceness = 7
        #expect(try await text(nice) == "7")
        var limits = Command("sh", "-c", "ulimit -n; ulimit -c; ulimit -f")
        limits.limits = [.openFiles(64), .core(0), .fileSize(512 * 1024)]
        #expect(try await text(limits) == "64\n0\n1024")
    }

    @Test(.enabled(if: MemoryGroup.isAvailable)) func aControlGroupIsJoinedAndEndedAsAWhole() async throws {
        let group = try MemoryGroup(limit: 1 << 30)
        defer { withExtendedLifetime(group) {} }
        var command = Command(
            "sh", "-c", "setsid sleep 1000 & grep memory /proc/self/cgroup; exec sleep 1000", stdout: .stream)
        command.controlGroup = .init(RawText(group.path), isExclusive: true)
        let process = try await Subprocess.spawn(command)
        let line = try await process.stdout!.read(until: "\n", limit: 1000)
        #expect(String(decoding: line, as: UTF8.self).contains("prefork-test"))
        // The one in the session of its own is not in the group that is killed.
        try process.send(.kill, to: .tree)
        _ = try await process.waitForExit(raising: false)
        try await eventually("the control group is empty") { read(group.path + "/cgroup.procs").isEmpty }
    }

    @Test(.enabled(if: MemoryGroup.isAvailable)) func whatLeavesTheGroupAndIgnoresTheTermIsKilledByItsControlGroup()
        async throws
    {
        let group = try MemoryGroup(limit: 1 << 30)
        defer { withExtendedLifetime(group) {} }
        let daemon = "trap \"\" TERM; echo ready; while :; do sleep 0.01; done"
        var command = Command("sh", "-c", "setsid sh -c '\(daemon)' & exec sleep 1000", stdout: .stream)
        command.controlGroup = .init(RawText(group.path), isExclusive: true)
        command.stopPlan = StopPlan([.init(.terminate, grace: .milliseconds(100))], to: .tree)
        let process = try await Subprocess.spawn(command)
        _ = try await process.stdout!.read(until: "\n", limit: 100)
        let exit = try await process.stop()
        #expect(exit.status == .signaled(.terminate, coreDumped: false))
        try await eventually("the control group is empty") { read(group.path + "/cgroup.procs").isEmpty }
    }

    @Test func aChildCanDieWithItsParent() async throws {
        let program = try ChildProgram("subprocess-fixture", ["die-with-parent"])
        let child = try #require(Int32(try await program.waitForLine("child ")))
        #expect(!isGone(child))
        program.send(.kill)
        _ = try await program.waitForExit()
        try await eventually("the child has ended") { isGone(child) }
    }
}

func isGone(_ pid: Int32) -> Bool {
    kill(pid, 0) != 0 || isZombie(pid)
}

/// A file with some text, removed with the object.
final class TextFile: Sendable {
    let path: String

    init(_ text: String, mode: mode_t = 0o644) throws {
        path = try temporaryFile()
        let file = try #require(fopen(path, "w"))
        fputs(text, file)
        fclose(file)
        chmod(path, mode)
    }

    deinit {
        unlink(path)
    }
}

/// An executable file.
final class Script: Sendable {
    private let file: TextFile
    var path: String { file.path }

    init(_ text: String) throws {
        file = try TextFile(text, mode: 0o755)
    }
}
