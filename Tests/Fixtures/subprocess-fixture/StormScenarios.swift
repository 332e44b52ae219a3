// Many starts, much output, and other threads that hold locks.

import Glibc
import Prefork
import PreforkFixtureSupport
import Synchronization

/// Started by a shell without standard streams. Reports into a file.
func closedStdio(_ arguments: [String]) async throws {
    let report = open(arguments[0], O_WRONLY | O_APPEND | O_CLOEXEC)
    // The lowest numbers are taken by whatever comes first, which is what this is about.
    func note(_ text: String) { _ = text.withCString { write(report, $0, strlen($0)) } }
    let both = try await Subprocess.run(Command("sh", "-c", "cat; echo err >&2", stdin: .text("in\n"))).check()
    note("\(both.stdoutText)\(both.stderrText)")
    let inherited = try await Subprocess.run(
        Command("readlink", "/proc/self/fd/0", "/proc/self/fd/2", stdin: .inherit, stderr: .inherit)
    ).check()
    note(inherited.stdoutText)
    let process = try await Subprocess.spawn(Command("cat", stdin: .stream, stdout: .stream, stderr: .stdout))
    try await process.stdin!.write("streamed\n")
    process.stdin!.close()
    note(String(decoding: try await process.stdout!.readToEnd(limit: 100), as: UTF8.self))
}

/// So many starts at once, while other threads open descriptors that are not close-on-exec and start programs, too.
func concurrent(_ arguments: [String]) async throws {
    try await warmUp()
    let isOver = Atomic(false)
    let running = Atomic(2)
    try startThread {
        while !isOver.load(ordering: .relaxed) {
            var ends: [Int32] = [-1, -1]
            if pipe(&ends) == 0 { ends.forEach { close($0) } }
        }
        running.subtract(1, ordering: .sequentiallyConsistent)
    }
    try startThread {
        while !isOver.load(ordering: .relaxed) {
            var pid: pid_t = 0
            var argv: [UnsafeMutablePointer<CChar>?] = [strdup("true"), nil]
            if posix_spawnp(&pid, "true", nil, nil, &argv, environ) == 0 { waitpid(pid, nil, 0) }
            free(argv[0])
        }
        running.subtract(1, ordering: .sequentiallyConsistent)
    }
    let count = Int(arguments[0])!
    let clean = try await withThrowingTaskGroup(of: Bool.self) { group in
        for _ in 0..<count {
            group.addTask {
                let output = try await Subprocess.run(Command("ls", "/proc/self/fd", stdin: .text("x"))).check()
                return output.stdoutText == "0\n1\n2\n3\n"
            }
        }
        return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
    }
    isOver.store(true, ordering: .relaxed)
    while running.load(ordering: .sequentiallyConsistent) > 0 { usleep(100) }
    say("clean \(clean) of \(count), children \(childCount())")
}

/// One after the other, with all streams.
func sequential(_ arguments: [String]) async throws {
    try await warmUp()
    let before = descriptorCount()
    for _ in 0..<Int(arguments[0])! {
        let process = try await Subprocess.spawn(
            Command("/bin/true", stdin: .stream, stdout: .stream, stderr: .collect))
        try await process.waitForExit()
    }
    let left = try await descriptorsLeft(beyond: before)
    say("descriptors \(left) children \(childCount())")
}

private final class Count: Sendable {
    let value = Atomic(0)
}

/// Another process's SIGKILL at a random instant of each child: while it starts, talks or ends. Every end is reported
/// once, and its readers and writers continue.
func killed(_ arguments: [String]) async throws {
    try await warmUp()
    // Dispatch, below Swift's pool of threads, opens a timer of its own with the first of them.
    _ = try await killWhileTheyTalk(80)
    let before = descriptorCount()
    let (killed, told) = try await killWhileTheyTalk(Int(arguments[0])!)
    let left = try await descriptorsLeft(beyond: before)
    say("killed \(killed) told \(told), descriptors \(left) children \(childCount())")
}

private func killWhileTheyTalk(_ count: Int) async throws -> (killed: Int, told: Int) {
    let told = Count()
    let killed = try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<8 {
            group.addTask {
                var killed = 0
                for _ in 0..<count / 8 where try await isKilledWhileItTalks(told) { killed += 1 }
                return killed
            }
        }
        return try await group.reduce(0, +)
    }
    while told.value.load(ordering: .sequentiallyConsistent) < killed { await Task.yield() }
    return (killed, told.value.load(ordering: .sequentiallyConsistent))
}

private func isKilledWhileItTalks(_ told: Count) async throws -> Bool {
    let process = try await Subprocess.spawn(Command("cat", stdin: .stream, stdout: .stream))
    process.onExit { _ in told.value.add(1, ordering: .sequentiallyConsistent) }
    let pid = process.pid
    let delay = useconds_t.random(in: 0...1_500)
    try startThread {
        usleep(delay)
        kill(pid, SIGKILL)
    }
    do {
        while true {
            try await process.stdin!.write("hello\n")
            _ = try await process.stdout!.read(until: "\n", limit: 16)
        }
    } catch {
        // Its end of a pipe is gone.
    }
    return try await process.waitForExit(raising: false).status == .signaled(.kill, coreDumped: false)
}

/// Starts while other threads are inside malloc, sigaction and stdio, whose locks a child must never want.
func lockStorm(_ arguments: [String]) async throws {
    let work: [@Sendable () -> Void] = [
        { free(malloc(Int.random(in: 1...100_000))) },
        {
            var action = sigaction()
            sigaction(SIGUSR2, nil, &action)
            sigaction(SIGUSR2, &action, nil)
            signal(SIGUSR1, SIG_IGN)
        },
        { fflush(nil) },
    ]
    for body in work { try startThread { while true { body() } } }
    let count = Int(arguments[0])!
    try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<4 {
            group.addTask {
                for _ in 0..<count / 4 { try await Subprocess.spawn(Command("/bin/true")).waitForExit() }
            }
        }
        try await group.waitForAll()
    }
    say("done, children \(childCount())")
}

/// So many MiB through a reader that stops and goes on.
func drain(_ arguments: [String]) async throws {
    let bytes = Int(arguments[0])! << 20
    let process = try await Subprocess.spawn(Command("head", "-c", "\(bytes)", "/dev/zero", stdout: .stream))
    var received = 0
    var (start, most, pauseAt) = (0, 0, 0)
    for try await chunk in process.stdout!.chunks {
        received += chunk.count
        guard received > pauseAt else { continue }
        pauseAt += bytes / 64
        try await EventLoop.sleep(for: .milliseconds(2))
        if start == 0 { start = residentKiB() }
        most = max(most, residentKiB())
    }
    try await process.waitForExit()
    say("received \(received)")
    complain("grew by \(most - start) KiB")
    try expect(most - start < 4096, "memory grew by \(most - start) KiB")
}

/// Children that are gone before their input is.
func earlyClose(_ arguments: [String]) async throws {
    try await warmUp()
    let before = descriptorCount()
    let bytes = [UInt8](repeating: 1, count: 200_000)
    for index in 0..<Int(arguments[0])! {
        if index.isMultiple(of: 2) {
            _ = try await Subprocess.run(Command("/bin/true", stdin: .bytes(bytes)))
            continue
        }
        let process = try await Subprocess.spawn(Command("/bin/true", stdin: .stream))
        do { try await process.stdin!.write(bytes) } catch let error as StreamError {
            try expect(error.code == .peerClosed, "\(error)")
        }
        process.stdin!.close()
        try await process.waitForExit()
    }
    let left = try await descriptorsLeft(beyond: before)
    say("descriptors \(left) children \(childCount())")
}
