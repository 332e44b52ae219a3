// Ends of processes that are not heard of in the usual way.

import Glibc
import Prefork
import PreforkFixtureSupport
import PreforkSubprocess
import Synchronization

func dieWithParent(_ arguments: [String]) async throws {
    var command = Command("sleep", "1000")
    command.dieWithParent = .kill
    let process = try await Subprocess.spawn(command)
    say("child \(process.pid)")
    try await process.waitForExit()
}

/// The kernel reaps: SIGCHLD is ignored from the start of each program on (wait(2)).
func statusLostToTheKernel(_ arguments: [String]) async throws {
    try await countLost { signal(SIGCHLD, SIG_IGN) }
}

/// The statuses of programs, with SIGCHLD as it was when this one was started. Then the signals that they find ignored.
func collects(_ arguments: [String]) async throws {
    for code in 0..<20 {
        let exit = try await Subprocess.run(Command("sh", "-c", "exit \(code)")).exit
        try expect(exit.status == .exited(code: Int32(code)), "\(exit)")
    }
    let line = try await Subprocess.run(Command("grep", "SigIgn", "/proc/self/status")).check().stdoutText
    say("ignored \(line.split(separator: "\t").last?.dropLast() ?? "")")
}

/// Not one that has ended and that its new parent has not reaped yet: kill(2) finds that, too.
private func isAlive(_ pid: Int32) -> Bool { state(of: pid) != "Z" && state(of: pid) != "X" }

/// A timeout ends a program, and what it has started.
func timedOut(_ arguments: [String]) async throws {
    var command = Command("sh", "-c", "trap '' TERM; sleep 1000 & echo $!; wait; sleep 1000")
    command.timeout = .milliseconds(200)
    command.stopPlan = StopPlan(
        [.init(.terminate, grace: .milliseconds(50))], to: arguments.first == "tree" ? .tree : .group)
    let output = try await Subprocess.run(command)
    try expect(output.exit.reason == .timedOut && output.exit.wasForced, "\(output.exit)")
    guard let grandchild = Int32(output.stdoutText.dropLast()) else { throw Failure(description: output.stdoutText) }
    for _ in 0..<5_000 where isAlive(grandchild) { try await EventLoop.sleep(for: .milliseconds(2)) }
    try expect(!isAlive(grandchild), "its child lives on")
    say("ended")
}

/// A library reaps whatever it can get.
func statusLostToAThief(_ arguments: [String]) async throws {
    try startThread { while true { if waitpid(-1, nil, 0) < 0 { usleep(50) } } }
    try await countLost {}
}

private func countLost(afterStart: () -> Void) async throws {
    let callbacks = Atomic(0)
    var lost = 0
    for _ in 0..<100 {
        let process = try await Subprocess.spawn(Command("sh", "-c", "sleep 0.01; exit 3"))
        afterStart()
        process.onExit { _ in callbacks.add(1, ordering: .sequentiallyConsistent) }
        let exits = await [
            try process.waitForExit(raising: false), try process.waitForExit(raising: false), try process.stop(.kill),
        ]
        try expect(exits.allSatisfy { $0 == exits[0] }, "\(exits)")
        switch exits[0].status {
        case .lost: lost += 1
        case .exited(code: 3): break
        default: throw Failure(description: "\(exits[0])")
        }
    }
    try expect(lost > 0, "nothing was lost")
    say("resolved 100")
    // The last one may be called on another thread after its waiters have been resumed.
    while callbacks.load(ordering: .sequentiallyConsistent) < 100 { await Task.yield() }
    say("callbacks \(callbacks.load(ordering: .sequentiallyConsistent))")
}

/// The whole of a subprocess's life, by the ways that other kernels and filters need.
func ways(_ arguments: [String]) async throws {
    switch arguments[0] {
    case "pidfd": break
    case "child-signal": try Subprocess.initialize(notice: .childSignal)
    case "without-pidfd": ExitWatching.engine.withoutPidfd = true
    case "posix-spawn": ExitWatching.engine.call = .posixSpawn
    case "without-close-range": ExitWatching.engine.withoutCloseRange = true
    default: throw Failure(description: "no such way")
    }
    let leaked = [open("/dev/null", O_RDONLY), fcntl(open("/dev/null", O_RDONLY), F_DUPFD, 200)]
    try await checkStart(isPosixSpawn: arguments[0] == "posix-spawn")
    for fd in leaked { close(fd) }
    try await checkErrors(isPosixSpawn: arguments[0] == "posix-spawn")
    try await checkExits()
    Subprocess.uninitialize()
    try await checkExits()
    if arguments[0] == "child-signal" { try await checkHandlers() }
    say("ok")
}

private let handlerCalls = Atomic(0)
// Proof: written by one thread before the handler that reads it is installed.
nonisolated(unsafe) private var handlerBelow = sigaction()

/// Another library's handler above ours, and ours taken away and set again: each is called once for a signal.
private func checkHandlers() async throws {
    try Subprocess.initialize(notice: .childSignal)
    var above = sigaction()
    above.__sigaction_handler.sa_handler = { number in
        handlerCalls.add(1, ordering: .relaxed)
        handlerBelow.__sigaction_handler.sa_sigaction?(number, nil, nil)
    }
    sigaction(SIGCHLD, &above, &handlerBelow)
    for _ in 0..<3 {
        Subprocess.uninitialize()
        try Subprocess.initialize(notice: .childSignal)
        let before = handlerCalls.load(ordering: .relaxed)
        let start = ContinuousClock.now
        for _ in 0..<20 { try await Subprocess.spawn(Command("true")).waitForExit() }
        try expect(handlerCalls.load(ordering: .relaxed) > before, "the other handler was not called")
        // Heard of by the signal and not by the look once a second.
        try expect(ContinuousClock.now - start < .seconds(10), "SIGCHLD was not heard")
    }
    Subprocess.uninitialize()
}

private func checkStart(isPosixSpawn: Bool) async throws {
    let listing = try await Subprocess.run(Command("ls", "/proc/self/fd")).check()
    try expect(listing.stdoutText == "0\n1\n2\n3\n", listing.stdoutText)
    var command = Command("sh", "-c", "cat; cat <&9; echo $NEW; pwd; echo err >&2", stdin: .text("in\n"))
    let file = open("/proc/self/comm", O_RDONLY | O_CLOEXEC)
    defer { close(file) }
    command.descriptors = [9: file]
    command.environment["NEW"] = "new"
    command.workingDirectory = "/usr/lib"
    let output = try await Subprocess.run(command).check()
    try expect(output.stdoutText == "in\nsubprocess-fixt\nnew\n/usr/lib\n", output.stdoutText)
    try expect(output.stderrText == "err\n", output.stderrText)
    let status = try await Subprocess.run(Command("grep", "-E", "^Sig(Blk|Ign):", "/proc/self/status")).check()
        .stdoutText
    // glibc's posix_spawn leaves the two signals that it keeps for itself ignored. exec does not undo that.
    let ignored = isPosixSpawn ? "0000000180000000" : "0000000000000000"
    try expect(status == "SigBlk:\t0000000000000000\nSigIgn:\t\(ignored)\n", status)
}

private func checkErrors(isPosixSpawn: Bool) async throws {
    for (program, errno) in [("/nowhere/x", ENOENT), ("/tmp", EACCES), ("no-such-program", ENOENT)] {
        do {
            var command = Command(program)
            // A directory of the tester's own PATH that no other user may search would be EACCES, rightly.
            command.environment["PATH"] = "/usr/bin:/bin"
            _ = try await Subprocess.spawn(command)
            throw Failure(description: "\(program) was started")
        } catch let error as SpawnError {
            try expect(error.step == .exec && error.errno.rawValue == errno, "\(error)")
        }
    }
    var command = Command("true")
    command.umask = 0o077
    do {
        _ = try await Subprocess.run(command).check()
        try expect(!isPosixSpawn, "posix_spawn cannot set a umask")
    } catch let error as SpawnError {
        try expect(isPosixSpawn && error.step == .unsupported, "\(error)")
    }
}

private func checkExits() async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
        for index in 0..<50 {
            group.addTask {
                let process = try await Subprocess.spawn(Command("sh", "-c", "exit \(index)"))
                async let first = process.waitForExit(raising: false)
                async let second = process.waitForExit(raising: false)
                let codes = try await [first.returnCode, second.returnCode]
                try expect(codes == [Int32(index), Int32(index)], "\(codes)")
            }
        }
        try await group.waitForAll()
    }
    let process = try await Subprocess.spawn(
        Command("sh", "-c", "sleep 1000 & echo $!; trap '' TERM; echo; wait; sleep 1000", stdout: .stream))
    let line = try await process.stdout!.read(until: "\n", limit: 100)
    _ = try await process.stdout!.read(until: "\n", limit: 100)
    let grandchild = Int32(String(decoding: line.dropLast(), as: UTF8.self))!
    let exit = try await process.stop(.terminate(grace: .milliseconds(50)))
    try expect(exit.wasForced && exit.returnCode == -9, "\(exit)")
    for _ in 0..<1_000 where isAlive(grandchild) { try await EventLoop.sleep(for: .milliseconds(2)) }
    try process.send(.terminate, to: .tree)
}
