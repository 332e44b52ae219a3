// What workers and managed processes write to standard error, and what becomes of it.

import Prefork
import PreforkFixtureSupport
import PreforkSystem

private func pool(_ settings: Settings) -> ForkRuntime {
    var runtime = ForkRuntime(workers: .count(settings.number("workers") ?? 1))
    runtime.restarts.limit = settings.number("limit") ?? 0
    runtime.restarts.bootLimit = 0
    runtime.hooks.onAllReady = { say("all ready") }
    runtime.hooks.onExit = { say("exit \($0.status) said \($0.lastWords?.message ?? "-")") }
    runtime.hooks.onCrash = { say("crash \($0.taskID) lines \($0.lastWords?.lines.count ?? -1)") }
    return runtime
}

/// `lines [count=N] [workers=N]`: each worker writes so many lines to standard error, and ends.
func linesScenario(_ arguments: [String]) throws {
    let settings = Settings(arguments)
    let summary = try pool(settings).run { worker in
        try await EventLoop.sleep(for: .milliseconds(1))
        for number in 0..<(settings.number("count") ?? 800) {
            complain("line \(number) \(String(repeating: "x", count: number % 300)) end")
        }
    }
    exit(summary.outcome.exitCode)
}

/// `flood [rate=MIB] [seconds=N]`: a worker writes so many MiB at that rate, where the machine lets it. It says how long
/// it took, and its longest write.
func floodScenario(_ arguments: [String]) throws {
    let settings = Settings(arguments)
    let rate = (settings.number("rate") ?? 10) << 20
    let bytes = Array((String(repeating: "f", count: 127) + "\n").utf8)
    let block = Array((0..<128).map { _ in bytes }.joined())
    let summary = try pool(settings).run { worker in
        let start = MonotonicInstant.now
        var written = 0
        var longest = Duration.zero
        while written < rate * (settings.number("seconds") ?? 2) {
            let before = MonotonicInstant.now
            _ = write(STDERR_FILENO, block, block.count)
            let after = MonotonicInstant.now
            longest = max(longest, after - before)
            written += block.count
            let due = start + .nanoseconds(Int64(written) * 1_000_000_000 / Int64(rate))
            if due > after { usleep(UInt32((due - after).components.attoseconds / 1_000_000_000_000)) }
        }
        let took = MonotonicInstant.now - start
        say("written \(written) in \(Int(took / .milliseconds(1))) ms longest \(Int(longest / .milliseconds(1))) ms")
    }
    say("outcome \(summary.outcome)")
    exit(summary.outcome.exitCode)
}

/// `last-words end=KIND [managed=1] [form=tornado]`: a worker writes some lines and comes to an end of a kind.
func lastWordsScenario(_ arguments: [String]) throws {
    let settings = Settings(arguments)
    if settings["form"] == "tornado" {
        _ = try forkProcesses(1, maxRestarts: 0)
        speakAndEnd(settings["end"] ?? "")
        exit(1)
    }
    let runtime = pool(settings)
    if settings["managed"] != nil {
        runtime.manager.hooks.afterExit.append { name, exit in
            say("\(name) \(exit.status) said \(exit.lastWords?.message ?? "-")")
        }
        try runtime.manager.addTarget("job") { (_: borrowing ChildContext<String>) in
            speakAndEnd(settings["end"] ?? "")
            return 3
        }
    }
    let summary = try runtime.run { worker in
        try await EventLoop.sleep(for: .milliseconds(1))
        if settings["managed"] == nil { speakAndEnd(settings["end"] ?? "") }
        try await worker.stopRequested.wait()
    }
    exit(summary.outcome.exitCode)
}

private func speakAndEnd(_ end: String) {
    for number in 1...3 { complain("before the end \(number)") }
    switch end {
    case "index":
        let none: [Int] = []
        say("\(none[CommandLine.argc == 0 ? 0 : none.count])")
    case "fatal": fatalError("a reason\u{1B}[31m")
    case "unfinished": put("no line end")
    case "head":
        put("2026-11-21T03:00:00.042Z prefork[\(getppid())] error: worker 7 said this\n")
        put("2026-11-21T03:00:00.042Z prefork[\(getpid())] error: worker 7 said that\n")
    case "terminal": put("is a terminal: \(isatty(STDERR_FILENO))\n")
    default: break
    }
    exit(3)
}

private func put(_ text: String) {
    let bytes = Array(text.utf8)
    _ = write(STDERR_FILENO, bytes, bytes.count)
}

/// A worker that writes a line each millisecond, numbered, for as long as it lives. A stop ends it.
func talkingScenario(_ arguments: [String]) throws {
    let settings = Settings(arguments)
    let summary = try pool(settings).run { worker in
        worker.ready()
        var number = 0
        while !worker.stopRequested.isRequested {
            complain("number \(number)")
            number += 1
            try await EventLoop.sleep(for: .milliseconds(1))
        }
        say("spoke \(number)")
    }
    exit(summary.outcome.exitCode)
}

/// A worker whose child outlives it and goes on writing.
func outlivingScenario(_ arguments: [String]) throws {
    let summary = try pool(Settings(arguments)).run { worker in
        try await EventLoop.sleep(for: .milliseconds(1))
        if worker.taskID > 0 { return try await worker.stopRequested.wait() }
        _ = system("(sleep 0.3; echo the child speaks >&2) &")
    }
    exit(summary.outcome.exitCode)
}
