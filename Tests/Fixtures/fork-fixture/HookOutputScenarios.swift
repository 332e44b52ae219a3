// Hooks that print to an output without a reader.

import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// `printing-hooks pipe|socket|terminal`: standard output and standard error have no reader. Every hook prints more
/// than they take. Workers are still replaced, and the end comes.
func printingHooksScenario(_ arguments: [String]) throws {
    let report = dup(STDOUT_FILENO)
    let reading = redirectOutput(to: arguments.first ?? "pipe")
    print("before the first fork")
    var runtime = ForkRuntime(workers: .count(1))
    runtime.restarts.limit = 20
    runtime.restarts.backoff.maximum = .zero
    runtime.quickTimeout = .milliseconds(500)
    let text = String(repeating: "x", count: 8_191)
    @Sendable func speak() {
        print(text)
        complain(text)
        let bytes = Array("\(text)\n".utf8)
        write(STDOUT_FILENO, bytes, bytes.count)
        write(STDERR_FILENO, bytes, bytes.count)
    }
    runtime.hooks.beforeFork = { _ in speak() }
    runtime.hooks.onReady = { _ in speak() }
    runtime.hooks.onExit = { _ in speak() }
    runtime.hooks.onCrash = { _ in speak() }
    runtime.hooks.onStop = { _ in speak() }
    runtime.log = { _ in speak() }
    let summary = try runtime.run { worker in
        try await EventLoop.sleep(for: .milliseconds(1))
        worker.exit(code: 5)
    }
    // What stdio has left goes nowhere.
    dup2(report, STDOUT_FILENO)
    say("restarts \(summary.restarts)")
    let first = readSome(reading)
    say("first \(first.prefix { $0 != UInt8(ascii: "\n") }.count)")
    _exit(summary.outcome.exitCode)
}

/// - Returns: the reading end, which no process reads yet.
private func redirectOutput(to kind: String) -> Int32 {
    var ends: [Int32] = [-1, -1]
    switch kind {
    case "socket": require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0, "no pair")
    case "terminal":
        guard let terminal = try? openTerminal() else { return -1 }
        ends = [terminal.primary, terminal.replica]
    default: require(pipe(&ends) == 0, "no pipe")
    }
    for number in [STDOUT_FILENO, STDERR_FILENO] { require(dup2(ends[1], number) == number, "dup2") }
    close(ends[1])
    return ends[0]
}

private func readSome(_ number: Int32) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 65_536)
    let count = read(number, &bytes, bytes.count)
    return Array(bytes.prefix(max(0, count)))
}

/// `crashing-hook`: the words of a hook's fatal error arrive in standard error, a pipe that cat(1) reads.
func crashingHookScenario(_ arguments: [String]) throws {
    var ends: [Int32] = [-1, -1]
    require(pipe(&ends) == 0, "no pipe")
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO)
    for end in ends { posix_spawn_file_actions_addclose(&actions, end) }
    var argv = [strdup("cat"), nil]
    var child: pid_t = 0
    require(posix_spawn(&child, "/bin/cat", &actions, nil, &argv, environ) == 0, "no cat")
    require(dup2(ends[1], STDERR_FILENO) >= 0 && dup2(ends[1], STDOUT_FILENO) >= 0, "dup2")
    ends.forEach { close($0) }
    var runtime = ForkRuntime(workers: .count(1))
    runtime.hooks.onReady = { _ in
        print("words before")
        if arguments.first == "exit" { exit(9) }
        fatalError("words of the hook")
    }
    try runtime.run { worker in try await worker.stopRequested.wait() }
}

/// `replacing-hook PATH`: a hook gives descriptor 1 another file, and that stays.
func replacingHookScenario(_ arguments: [String]) throws {
    let report = dup(STDOUT_FILENO)
    let reading = redirectOutput(to: "pipe")
    var runtime = ForkRuntime(workers: .count(1))
    let path = arguments[0]
    runtime.hooks.onReady = { _ in
        print("to the pipe")
        fflush(nil)
        let file = open(path, O_WRONLY | O_APPEND)
        dup2(file, STDOUT_FILENO)
        close(file)
        print("to the file")
        kill(getpid(), SIGTERM)
    }
    runtime.hooks.onExit = { _ in print("to the file, too") }
    try runtime.run { worker in try await worker.stopRequested.wait() }
    fflush(nil)
    dup2(report, STDOUT_FILENO)
    let text = String(decoding: readSome(reading), as: UTF8.self)
    say("pipe \(text.contains("to the pipe")) \(text.contains("to the file"))")
    _exit(0)
}
