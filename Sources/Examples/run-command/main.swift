// Runs a command with a timeout and shows its lines as they come: a small whole use of Subprocess.

import Glibc
import Prefork

func write(_ text: String, to descriptor: Int32) {
    let bytes = Array((text + "\n").utf8)
    // The reader of our output may be gone. The command still runs to its end.
    _ = Glibc.write(descriptor, bytes, bytes.count)
}

func show(_ stream: ByteReader, as name: String) async throws {
    for try await line in stream.lines(limit: 1 << 24) { write("\(name) | \(line)", to: STDOUT_FILENO) }
}

func run(_ command: Command, on loop: EventLoop) async throws -> Subprocess.Exit {
    let process = try await Subprocess.spawn(command)
    try loop.onSignals([.interrupt, .terminate, .hangUp]) { _ in
        Task(executorPreference: loop) { try await process.stop() }
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
        // Both are streams of every command that `Arguments` makes.
        group.addTask(executorPreference: loop) { try await show(process.stdout!, as: "out") }
        group.addTask(executorPreference: loop) { try await show(process.stderr!, as: "err") }
        try await group.waitForAll()
    }
    return try await process.waitForExit(raising: false)
}

do {
    switch try Arguments.parse(Array(CommandLine.arguments.dropFirst())) {
    case .help: print(Arguments.usage, terminator: "")
    case .run(let command):
        signal(SIGPIPE, SIG_IGN)
        let loop = try EventLoop()
        let exit = try loop.run { try await run(command, on: loop) }
        write("\(command.name) \(exit.summary)", to: STDERR_FILENO)
        Glibc.exit(exit.exitCode)
    }
} catch let error as UsageError {
    write("run-command: \(error.text)", to: STDERR_FILENO)
    exit(64)
} catch let error as SpawnError {
    write("run-command: \(error)", to: STDERR_FILENO)
    exit(error.errno.rawValue == ENOENT ? 127 : 126)
} catch {
    write("run-command: \(error)", to: STDERR_FILENO)
    exit(125)
}
