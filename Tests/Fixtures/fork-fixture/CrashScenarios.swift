// Requests that end their worker, and what a worker prints before it ends.

import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// `poison [workers=N] [waiting=N] [limit=N] [form=tornado]`: so many poisoned connections wait before the first worker
/// is forked. A worker answers any other line with `ok`.
func poisonScenario(_ arguments: [String]) throws {
    let settings = Settings(arguments)
    let workers = settings.number("workers") ?? 2
    let listener = try Listener(.tcp("127.0.0.1", 0))
    guard case .ipv4(_, let port) = listener.address else { fail(SystemError("bind", .invalidArgument, on: "127.0.0.1")) }
    for _ in 0..<(settings.number("waiting") ?? 0) {
        // Closed with the process.
        let client = try Socket.open(for: listener.address)
        do throws(SystemError) {
            try Socket.connect(client, to: listener.address)
        } catch {
            guard error.errno == .inProgress else { throw error }
            try Polling.waitUntilWritable(client)
        }
        _ = try Array("poison\n".utf8).withUnsafeBytes { try sendBytes(to: client, $0) }
    }
    say("port \(port)")
    if settings["form"] == "tornado" {
        _ = try forkProcesses(workers, maxRestarts: settings.number("limit") ?? 100)
        try blockingWorker(listener)
    }
    var runtime = ForkRuntime(workers: .count(workers))
    if let limit = settings.number("limit") { runtime.restarts.limit = limit }
    let summary = try runtime.run { worker in
        try await listener.serve { connection in
            while try await connection.reader.waitForMessage() {
                if try await connection.reader.read(until: "\n", limit: 100) == Array("poison\n".utf8) { trap() }
                try await connection.writer.write("ok \(worker.taskID)\n")
            }
        }
    }
    say("outcome \(summary.outcome)")
    exit(summary.outcome.exitCode)
}

private func blockingWorker(_ listener: Listener) throws -> Never {
    while true {
        _ = try Polling.waitUntilReadable([listener.descriptor], until: nil)
        guard let (socket, _) = try Socket.accept(listener.descriptor) else { continue }
        closeDescriptor(socket)
        trap()
    }
}

/// As an index that is out of range does.
@inline(never)
func trap() {
    let none: [Int] = []
    say("\(none[CommandLine.argc == 0 ? 0 : none.count])")
}

/// `prints LINES WORKERS`: each worker prints so many lines by `print` and is killed.
func printsScenario(_ arguments: [String]) throws {
    var runtime = ForkRuntime(workers: .count(arguments.number(1, default: 2)))
    runtime.restarts.limit = 0
    runtime.restarts.bootLimit = 0
    let summary = try runtime.run { worker in
        for number in 0..<arguments.number(0, default: 100) {
            print("worker \(worker.taskID) line \(number)", String(repeating: "x", count: number % 300), "end")
        }
        raise(SIGKILL)
    }
    exit(summary.outcome.exitCode)
}

private func told(_ crash: CrashReport?) -> String { crash.map { "crash \($0.signal)" } ?? "no crash" }

/// `crashes [workers=N]`: a worker that reads `index`, `fatal` or another name of a `CrashKind` crashes that way, one
/// that reads `locked` while it holds a lock that others wait for, and any other line is answered with `ok`. Beside the
/// workers is a managed process that crashes when a worker reads `managed`. Settings come by the environment.
func crashesScenario(_ arguments: [String]) throws {
    let listener = try Listener(.tcp("127.0.0.1", 0))
    guard case .ipv4(_, let port) = listener.address else { fail(SystemError("bind", .invalidArgument, on: "127.0.0.1")) }
    say("port \(port)")
    var runtime = ForkRuntime(workers: .count(Settings(arguments).number("workers") ?? 2))
    runtime.hooks.onExit = { say("exit \($0.pid) \($0.status) \(told($0.crash)) \($0.consequence)") }
    runtime.manager.hooks.afterExit.append { name, exit in
        say("\(name) exit \(exit.pid) \(exit.status) \(told(exit.crash)) \(exit.consequence)")
    }
    let memory = try SharedMapping(byteCount: SharedLock.byteCount)
    let lock = SharedLock(at: memory.base)
    let noted = NotedLocks(at: memory.base)
    defer { withExtendedLifetime(noted) {} }
    try runtime.manager.addTarget("managed", TargetOptions(onFailure: .restart(RestartPolicy()))) { child in
        say("managed \(getpid())")
        _ = try child.active.receiveBlocking()
        CrashKind.fatal.crash(1)
        return 0
    }
    let summary = try runtime.run { worker in
        try await listener.serve { connection in
            for try await line in connection.reader.lines(limit: 100) {
                if line == "managed" { try await ChannelDeliver<String>.facing("managed").active.send("end") }
                if line == "locked" {
                    _ = LockOwner.current
                    _ = lock.tryLock()
                    CrashKind.memory.crash(1)
                }
                if let kind = CrashKind(rawValue: line) { kind.crash(Int(getpid())) }
                try await connection.writer.write("ok \(worker.taskID) \(getpid())\n")
            }
        }
    }
    say("outcome \(summary.outcome)")
    exit(summary.outcome.exitCode)
}

/// `late-crash flag=FILE`: workers that are ready at once. One that is forked while FILE exists, or whose program is
/// called `next`, crashes 300 ms later, without a request.
func lateCrashScenario(_ arguments: [String]) throws {
    let flag = Settings(arguments)["flag"] ?? ""
    let summary = try ForkRuntime(workers: .count(2)).run { worker in
        let crashes = try ProgramImage.path().hasSuffix("/next") || access(flag, F_OK) == 0
        worker.ready()
        if crashes { worker.loop.call(after: .milliseconds(300)) { CrashKind.fatal.crash(1) } }
        try await worker.stopRequested.wait()
    }
    exit(summary.outcome.exitCode)
}
