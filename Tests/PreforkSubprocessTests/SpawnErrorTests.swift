// Starts that fail: step, errno and path are exact, and nothing is left behind.

import Glibc
import PreforkSubprocess
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct SpawnErrorTests {
    /// What a start fails with.
    private func failure(_ command: Command) async throws -> SpawnError {
        do {
            let process = try await Subprocess.spawn(command)
            _ = try? await process.stop(.kill)
        } catch {
            return error
        }
        throw NotInTime(description: "\(command) was started")
    }

    private func expectFailure(
        _ command: Command, _ step: SpawnStep, _ errno: Int32, _ object: String,
        at location: SourceLocation = #_sourceLocation
    ) async throws {
        let error = try await failure(command)
        #expect(error.step == step, sourceLocation: location)
        #expect(error.errno.rawValue == errno, "\(error)", sourceLocation: location)
        #expect(error.underlying.object == object, sourceLocation: location)
    }

    @Test func aMissingProgramIsENOENT() async throws {
        try await expectFailure(Command("/nowhere/x"), .exec, ENOENT, "/nowhere/x")
        var command = Command("no-such-program")
        command.environment["PATH"] = "/bin:/usr/bin"
        try await expectFailure(command, .exec, ENOENT, "no-such-program, in 2 directories of PATH")
        command.environment["PATH"] = ""
        try await expectFailure(command, .exec, ENOENT, "no-such-program, PATH is empty")
    }

    private static let nonsense: [(String, @Sendable (inout Command) -> Void)] = [
        ("'../bin/true' is a path, not a name: use .path", { $0.program = .name("../bin/true") }),
        ("'/bin/true' is a path, not a name: use .path", { $0.program = .name("/bin/true") }),
        ("process group -5", { $0.group = .join(-5) }), ("process group 0", { $0.group = .join(0) }),
        ("process group -2147483648", { $0.group = .join(.min) }),
        ("niceness 20", { $0.niceness = 20 }), ("niceness -21", { $0.niceness = -21 }), ("umask 0o1000", { $0.umask = 0o1000 }),
        ("signal 0", { $0.dieWithParent = Signal(rawValue: 0) }), ("signal 65", { $0.dieWithParent = Signal(rawValue: 65) }),
        ("user or group 4294967295", { $0.identity = Command.Identity(user: .max) }),
        ("user or group 4294967295", { $0.identity = Command.Identity(user: nil, group: .max) }),
        ("user or group 4294967295", { $0.identity = Command.Identity(user: nil, supplementaryGroups: [.max]) }),
        ("limit of resource -1", { $0.limits = [Command.Limit(resource: -1, soft: 1, hard: 1)] }),
        ("the program has no name", { $0.program = .name("") }),
    ]

    @Test(arguments: nonsense)
    func whatMakesNoSenseIsNamedBeforeAnythingIsStarted(_ problem: String, _ change: @Sendable (inout Command) -> Void)
        async throws
    {
        var command = Command("/bin/true")
        change(&command)
        try await expectFailure(command, .command, EINVAL, problem)
    }

    @Test func anArgumentWithNULIsNamedByItsNumber() async throws {
        let secret = "secret\0"
        for command in [Command("/bin/true", "x", secret), Command(.name("true"), arguments: ["x", RawText(secret)])] {
            let error = try await failure(command)
            #expect(error.underlying.object == "a NUL byte in argument 2")
            #expect(!"\(error)".contains("secret"))
        }
    }

    @Test func aDirectoryOrAFileWithoutPermissionIsEACCES() async throws {
        try await expectFailure(Command("/tmp"), .exec, EACCES, "/tmp")
        let file = try TextFile("text")
        try await expectFailure(Command(file.path), .exec, EACCES, file.path)
    }

    @Test func aRefusalOnThePathIsToldBeforeAMissingFile() async throws {
        let directory = try Directory()
        let file = directory.path + "/refused"
        close(open(file, O_CREAT | O_WRONLY, 0o644))
        var command = Command("refused")
        command.environment["PATH"] = RawText("/bin:\(directory.path):/usr/bin")
        try await expectFailure(command, .exec, EACCES, file)
    }

    @Test func aMissingInterpreterIsNamed() async throws {
        let script = try Script("#!/no/such/interpreter -x\n")
        try await expectFailure(
            Command(script.path), .exec, ENOENT, "\(script.path): its interpreter /no/such/interpreter is missing")
    }

    @Test func textWithoutAnInterpreterLineIsENOEXEC() async throws {
        let script = try Script("echo hello\n")
        try await expectFailure(Command(script.path), .exec, ENOEXEC, script.path)
    }

    @Test func tooManyArgumentsAreE2BIG() async throws {
        let long = RawText(String(repeating: "x", count: 1 << 20))
        try await expectFailure(Command(.path("/bin/echo"), arguments: [long]), .exec, E2BIG, "/bin/echo")
    }

    @Test func aMissingOrDeletedDirectoryIsTold() async throws {
        var command = Command("true")
        command.workingDirectory = "/no/such/directory"
        try await expectFailure(command, .workingDirectory, ENOENT, "/no/such/directory")
        command.workingDirectory = "/etc/passwd"
        try await expectFailure(command, .workingDirectory, ENOTDIR, "/etc/passwd")
    }

    @Test func closedDescriptorsAreTold() async throws {
        // Beyond what the kernel gives: a smaller one may be another test's.
        let closed: Int32 = 1_000_000_000
        try await expectFailure(
            Command("true", stdin: .descriptor(closed)), .descriptors, EBADF, "descriptor \(closed)")
        var command = Command("true")
        command.descriptors = [5: closed]
        try await expectFailure(command, .descriptors, EBADF, "descriptor \(closed)")
        command.descriptors = [-1: 0]
        try await expectFailure(command, .command, EINVAL, "descriptor -1 for the program")
    }

    @Test func missingFilesOfStreamsAreTold() async throws {
        try await expectFailure(Command("true", stdin: .file("/no/file")), .streams, ENOENT, "/no/file")
        try await expectFailure(Command("true", stdout: .file("/no/file")), .streams, ENOENT, "/no/file")
        try await expectFailure(Command("true", stdout: .tee([.file("/no/file")])), .streams, ENOENT, "/no/file")
    }

    @Test func textsThatNoProgramCanTakeAreRefused() async throws {
        try await expectFailure(Command("a\0b"), .command, EINVAL, "a NUL byte in a\\u{0}b")
        try await expectFailure(Command("true", "a\0b"), .command, EINVAL, "a NUL byte in argument 1")
        try await expectFailure(Command(""), .command, EINVAL, "the program has no name")
        var command = Command("true")
        command.environment["A=B"] = "c"
        try await expectFailure(command, .command, EINVAL, "environment variable A=B")
        command.environment = .only(["": "c"])
        try await expectFailure(command, .command, EINVAL, "environment variable ")
        // Nothing has been opened, or emptied, for a command that makes no sense.
        let precious = try TextFile("precious")
        let cut = RawText(bytes: Array(precious.path.utf8) + [0, 120])
        #expect(try await failure(Command("true", stdout: .file(cut))).step == .command)
        #expect(try await failure(Command("true", stdout: .tee([.file(cut)]))).step == .command)
        command = Command("true", stdout: .file(RawText(precious.path)))
        command.environment["A=B"] = "c"
        #expect(try await failure(command).step == .command)
        #expect(read(precious.path) == "precious")
        try await expectFailure(Command("true", stdin: .descriptor(-1)), .command, EINVAL, "descriptor -1")
        for tee in [[Command.Output.stream, .stream], [.collect, .collect], [.terminal], [.stdout]] {
            #expect(try await failure(Command("true", stdout: .tee(tee))).step == .command)
        }
        try await expectFailure(
            Command("true", stdout: .stdout), .command, EINVAL, "standard output goes into itself")
    }

    @Test func impossibleSettingsAreTold() async throws {
        var command = Command("true")
        command.group = .join(1)
        try await expectFailure(command, .processGroup, EPERM, "group 1")
        command = Command("true")
        command.controlGroup = .init("/sys/fs/cgroup/no/such")
        try await expectFailure(command, .controlGroup, ENOENT, "/sys/fs/cgroup/no/such/cgroup.procs")
        command = Command("true")
        command.limits = [.init(resource: 999, soft: 1, hard: 1)]
        try await expectFailure(command, .resourceLimits, EINVAL, "resource 999")
        command.limits = [.init(resource: ResourceName.openFiles, soft: 2, hard: 1)]
        try await expectFailure(command, .resourceLimits, EINVAL, "RLIMIT_NOFILE")
    }

    @Test(.enabled(if: isRoot)) func aUserThatMayNotIsTold() async throws {
        // As the user `nobody`, in a child: this process is root and may do everything.
        let program = try ChildProgram("subprocess-fixture", ["refused-identity"])
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
        #expect(program.output == "supplementaryGroups EPERM\nuserID EPERM\ngroupID EPERM\nniceness EACCES\n")
    }

    @Test func aProcessWhoseDirectoryIsGoneStillStartsOthers() async throws {
        let program = try ChildProgram("subprocess-fixture", ["deleted-directory", try temporaryPath()])
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
        #expect(program.output == "started\nexec ENOENT\nexec ENOENT\nworkingDirectory ENOENT\nstarted\n")
    }

    @Test func failedStartsLeaveNothing() async throws {
        let program = try ChildProgram("subprocess-fixture", ["failed-starts", "200"])
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
        #expect(program.output == "descriptors 0 children 0\n")
    }

    @Test func withoutDescriptorsEveryStepFailsCleanly() async throws {
        let program = try ChildProgram("subprocess-fixture", ["no-descriptors"])
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
        let steps = Set(program.output.split(separator: "\n").map(String.init))
        #expect(
            steps.isSuperset(of: ["streams EMFILE", "clone EMFILE", "descriptors EMFILE", "started", "left 0"]),
            "\(steps)")
        #expect(
            steps.isSubset(of: [
                "streams EMFILE", "clone EMFILE", "nullDevice EMFILE", "descriptors EMFILE", "started", "left 0",
            ]), "\(steps)")
    }

    @Test func errorsReadWell() async throws {
        let error = try await failure(Command("/nowhere/x"))
        #expect("\(error)" == "start failed at step exec: execve(/nowhere/x): No such file or directory (ENOENT)")
    }
}

/// A directory, removed with what is in it.
final class Directory {
    let path: String

    init() throws {
        path = try temporaryPath()
        mkdir(path, 0o755)
    }

    deinit {
        for name in entries(path) { unlink(path + "/" + name) }
        rmdir(path)
    }
}
