// A pool with spares, whose workers say what they are.

import Glibc
import Prefork
import PreforkFixtureSupport
import PreforkSystem
import Synchronization

/// What `onReload` changes: workers that were forked before it have another number.
private let configuration = Atomic(1)
/// Whether this worker was a spare.
private let wasSpare = Atomic(false)
/// What `listen` has made.
private let more = Mutex<Listener?>(nil)

/// A server of one answer: task ID, process ID, generation, configuration, user, whether it has one thread, a random
/// number. Switches: `crash-spare` and `hang-spare` for spares before they wait, `crash-worker` for workers that were
/// spares, `listen` for a further listener at the next `onReady`.
func sparesScenario(_ arguments: [String]) throws {
    let settings = Settings(arguments)
    let switches = Switches(folder: settings["switches"] ?? "/nonexistent")
    let listener = try Listener(.tcp("127.0.0.1", UInt16(settings.number("port") ?? 0)))
    var runtime = ForkRuntime(workers: .count(settings.number("workers") ?? 2))
    if let soft = settings.milliseconds("soft") {
        runtime.hangs = HangPolicy(soft: soft, grace: .milliseconds(100))
    }
    runtime.recycling = RecyclingPolicy(requests: settings.number("requests"), jitter: 0)
    runtime.hooks.afterSpareFork = {
        if switches.isOn("crash-spare") { _exit(9) }
        switches.wait(while: "hang-spare")
        wasSpare.store(true, ordering: .relaxed)
        say("spare \(getpid())")
    }
    runtime.hooks.afterFork = { info in
        let kind = wasSpare.load(ordering: .relaxed) ? "handed" : "forked"
        say("\(kind) \(info.taskID) \(info.pid ?? 0) \(info.generation) \(taskID() ?? -1)")
        if kind == "handed", switches.isOn("crash-worker") { _exit(8) }
    }
    runtime.hooks.onReload = { _ in
        configuration.wrappingAdd(1, ordering: .relaxed)
        if switches.isOn("refuse") { throw Refusal() }
    }
    runtime.hooks.onReady = { _ in
        guard switches.isOn("listen") else { return }
        more.withLock { more in
            if more == nil { more = try? Listener(.tcp("127.0.0.1", 0)) }
        }
    }
    say("port \(listener.address) pid \(getpid())")
    let summary = try runtime.run { worker in
        try await listener.serve { connection in
            _ = try await connection.reader.read(until: "\r\n\r\n", limit: 8192)
            worker.countRequest()
            let body = [
                "\(worker.taskID)", "\(getpid())", "\(worker.generation)",
                "\(configuration.load(ordering: .relaxed))", "\(getuid())", "\(ForkRuntime.isSingleThreaded)",
                "\(random())",
            ].joined(separator: " ")
            try await connection.writer.write(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
        }
    }
    say("outcome \(summary.outcome)")
    exit(summary.outcome.exitCode)
}
