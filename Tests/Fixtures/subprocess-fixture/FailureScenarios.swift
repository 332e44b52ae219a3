// Starts that cannot succeed.

import Glibc
import Prefork
import PreforkFixtureSupport

/// Prints step and errno of a start that fails.
func report(_ command: Command) async {
    do {
        let process = try await Subprocess.spawn(command)
        _ = try? await process.stop(.kill)
        say("started")
    } catch {
        say("\(error.step.rawValue) \(error.errno.name)")
    }
}

/// As the user `nobody`, without any right.
func refusedIdentity(_ arguments: [String]) async throws {
    setgroups(0, nil)
    setgid(65534)
    setuid(65534)
    var command = Command("true")
    command.identity = .init(user: 65534)
    await report(command)
    command.identity = .init(user: 0, supplementaryGroups: nil)
    await report(command)
    command.identity = .init(user: nil, group: 0, supplementaryGroups: nil)
    await report(command)
    command.identity = nil
    command.niceness = -5
    await report(command)
}

func failedStarts(_ arguments: [String]) async throws {
    try await warmUp()
    let before = descriptorCount()
    for _ in 0..<Int(arguments[0])! {
        var command = Command("/nowhere/x", stdin: .stream, stdout: .stream, stderr: .tee([.stream, .collect]))
        try await expectFailure(command)
        command.program = .path("/etc/passwd")
        try await expectFailure(command)
        command.program = .name("true")
        command.workingDirectory = "/no/such/directory"
        try await expectFailure(command)
        command.workingDirectory = nil
        command.stdin = .terminal
        command.stdout = .terminal
        command.identity = nil
        command.descriptors = [5: 999]
        try await expectFailure(command)
        try await expectFailure(Command("true", stdin: .file("/no/file"), stdout: .file("/dev/null")))
    }
    let left = try await descriptorsLeft(beyond: before)
    say("descriptors \(left) children \(childCount())")
}

private func expectFailure(_ command: Command) async throws {
    do {
        _ = try await Subprocess.spawn(command)
    } catch {
        return
    }
    throw Failure(description: "\(command) was started")
}

/// With 0, 1, 2, ... descriptors left.
func noDescriptors(_ arguments: [String]) async throws {
    try await warmUp()
    var limit = rlimit(rlim_cur: 256, rlim_max: 256)
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    let before = descriptorCount()
    var fillers: [Int32] = []
    while case let fd = open("/dev/null", O_RDONLY | O_CLOEXEC), fd >= 0 { fillers.append(fd) }
    // Swapped: the child itself needs descriptors to move them. That they are what is missing takes one number of free
    // descriptors, and the thread that notices ends may hold one more just then.
    let swapped = Command("true", stdin: .inherit, stdout: .descriptor(2), stderr: .descriptor(1))
    for _ in 0..<14 {
        let full = descriptorCount()
        for command in [
            Command("true", stdin: .stream, stdout: .stream, stderr: .stream),
            Command("true", stdout: .null, stderr: .null),
            Command("true", stdin: .terminal, stdout: .terminal),
            swapped, swapped, swapped, swapped,
        ] {
            await report(command)
            try await settle(full)
        }
        close(fillers.removeLast())
    }
    for fd in fillers { close(fd) }
    let left = try await descriptorsLeft(beyond: before)
    say("left \(left + childCount())")
}

/// In a directory that is gone.
func deletedDirectory(_ arguments: [String]) async throws {
    try expect(mkdir(arguments[0], 0o755) == 0 && chdir(arguments[0]) == 0 && rmdir(arguments[0]) == 0, "\(errno)")
    await report(Command("true"))
    // Relative to a directory that has no name any more.
    var command = Command("./x")
    await report(command)
    command.workingDirectory = "/"
    await report(command)
    command = Command("true")
    command.workingDirectory = RawText(arguments[0])
    await report(command)
    command.workingDirectory = "."
    await report(command)
}

/// A child of another user, who this process is not any more.
func unstoppable(_ arguments: [String]) async throws {
    let process = try await Subprocess.spawn(Command("sleep", "1000"))
    try becomeUser(65534)
    do {
        _ = try await process.stop(.terminate(grace: .milliseconds(50)))
        throw Failure(description: "nobody stopped a process of root")
    } catch let error as StopError {
        say("\(error)")
    }
    try becomeUser(0)
    let exit = try await process.stop(.kill)
    say("\(exit.status)")
}

/// setresuid(2), which the Glibc module does not show: the saved user stays root, so that there is a way back.
private func becomeUser(_ user: UInt32) throws {
    typealias Call = @convention(c) (UInt32, UInt32, UInt32) -> Int32
    let call = unsafeBitCast(dlsym(nil, "setresuid"), to: Call.self)
    try expect(call(user, user, 0) == 0, "setresuid: errno \(errno)")
}
