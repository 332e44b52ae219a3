// A small HTTP server in each worker, which does what its paths say.

import Prefork
import PreforkFixtureSupport
import PreforkStore
import PreforkSystem
import Synchronization

struct Refusal: Error {}

/// Serves until it is stopped. Switches (files in the folder `switches`): `crash-start` and `hang-start` for the
/// program itself, `crash-worker` and `hang-worker` for workers before they are ready, `crash-later`
/// for workers 0.3 s after that, `refuse` for `onReload`. What another program would say: `short-queue` (a backlog of
/// 7), `open-mode` (0666 for the socket at `unix=PATH`), `owned` (an owner for it), `more-queues` and `fewer-queues` than
/// the setting `queues`, `one-queue` (none of its own for each worker).
func serveScenario(_ arguments: [String]) throws {
    let settings = Settings(arguments)
    let switches = Switches(folder: settings["switches"] ?? "/nonexistent")
    let ending = Ending(switches: switches)
    trialStep("start", switches)
    if Image.current == .new, switches.isOn("new-start-return") { return }
    ending.at("start")
    if switches.isOn("crash-start") { exit(3) }
    switches.wait(while: "hang-start")
    if switches.isOn("end-start") { exit(0) }
    let things = try Things(settings, switches)
    try things.useBeforeRun(settings)
    if Image.current == .new, switches.isOn("new-crash-inside") { try things.crashInside() }
    trialStep("things", switches)
    ending.at("things")
    var sharing = AcceptSharing.sharedQueue
    if let queues = settings.number("queues"), !switches.isOn("one-queue") {
        sharing = .reusePort(queues: queues + (switches.isOn("more-queues") ? 3 : switches.isOn("fewer-queues") ? -1 : 0))
    }
    let listener = try Listener(
        .tcp("127.0.0.1", UInt16(settings.number("port") ?? 0)), backlog: switches.isOn("short-queue") ? 7 : 1024,
        sharing: sharing)
    let beside = try settings["unix"].map {
        try Listener(
            .unix(
                $0, mode: switches.isOn("open-mode") ? 0o666 : 0o600,
                owner: switches.isOn("owned") ? SocketOwner(user: "4300", group: "4242") : .unchanged))
    }
    defer { beside?.close() }
    let more = try DirectoryListing.names(switches.folder).first { $0.hasPrefix("more-") }.map {
        try Listener(.unix("\(switches.folder)/socket-\($0)"))
    }
    defer { more?.close() }
    trialStep("listeners", switches)
    var runtime = ForkRuntime(workers: .count(settings.number("workers") ?? 2))
    runtime.readiness = .manual
    if let time = settings.milliseconds("boot") { runtime.bootTimeout = time }
    if let time = settings.milliseconds("drain") { runtime.drainTimeout = time }
    if let soft = settings.milliseconds("soft"), let grace = settings.milliseconds("grace") {
        runtime.hangs = HangPolicy(soft: soft, grace: grace)
    }
    runtime.recycling = RecyclingPolicy(
        requests: settings.number("requests"), lifetime: settings.milliseconds("lifetime"),
        memory: settings.number("memory").map { $0 << 20 }, jitter: 0)
    if let most = settings.number("most") {
        runtime.scaling = ScalingPolicy(
            workers: 1...most, busy: 0.02, growAfter: .milliseconds(500), shrinkAfter: .milliseconds(1_000))
    }
    if Image.current == .new, switches.isOn("new-run-refused") { runtime.workers = .count(-1) }
    if settings["target"] != nil {
        let blocks = settings["target"] == "blocks"
        try runtime.manager.addTarget("target") { child in
            say("target \(getpid())")
            if blocks {
                let thread = try await Blocking.run { (try? SmallFile.read("/proc/thread-self/comm")) ?? "" }
                say("blocks on \(thread) \(ForkRuntime.isSingleThreaded)")
            }
            try await child.stopRequested.wait()
            return 0
        }
    }
    if settings["helpers"] != nil { _ = helper }
    runtime.hooks.onReload = { _ in if switches.isOn("refuse") { throw Refusal() } }
    runtime.hooks.onReady = { _ in ending.at("ready") }
    runtime.hooks.beforeFork = { _ in ending.at("fork") }
    runtime.hooks.onHang = { say("onHang \($0.taskID)") }
    trialStep("run", switches)
    ending.at("listeners")
    say("port \(listener.address) pid \(getpid())")
    let summary = try runtime.run { worker in
        if switches.isOn("crash-worker") { worker.exit(code: 9) }
        if Image.current == .new, switches.isOn("new-workers-done") { worker.exit(code: 0) }
        switches.wait(while: "hang-worker")
        worker.ready()
        if switches.isOn("crash-later") {
            try startThread {
                usleep(300_000)
                fatalError("ready, and not what it looked like")
            }
        }
        // Ends with the process, whatever it has in hand.
        Task { try await things.work() }
        try await listener.serve { connection in
            while try await connection.reader.waitForMessage() {
                let head = try await connection.reader.read(until: "\r\n\r\n", limit: 8192)
                let target = String(decoding: head, as: UTF8.self).split(separator: " ").dropFirst().first ?? "/"
                let path = target.prefix { $0 != "?" }.split(separator: "/").map(String.init)
                let end = connection.isDraining ? "Connection: close\r\n" : ""
                do {
                    let body = try await worker.request(target) {
                        try await Answer(worker: worker, things: things).body(path)
                    }
                    worker.countRequest()
                    try await connection.writer.write(
                        "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\(end)\r\n\(body)")
                } catch is RequestError {
                    try await connection.writer.write("HTTP/1.1 503 Refused\r\nContent-Length: 0\r\n\(end)\r\n")
                }
                if connection.isDraining || String(decoding: head, as: UTF8.self).contains("Connection: close") { return }
            }
        }
    }
    say("outcome \(summary.outcome)")
    exit(summary.outcome.exitCode)
}

private struct Answer {
    let worker: Worker
    let things: Things
    private var store: SharedStore { things.store }

    /// | path           | does                                                         | answers                  |
    /// |----------------|--------------------------------------------------------------|--------------------------|
    /// | /              |                                                              | task ID, pid, generation |
    /// | /owner         |                                                              | its word as a lock's owner |
    /// | /name/WORD     | writes that word into each lock of a stripe                  | `done`                   |
    /// | /named/WORD    |                                                              | how many locks have it   |
    /// | /leave         | ends its process with exit code 0, as one that was taken over  |                          |
    /// | /scribble      | writes over what the store's header says of the store        | `done`                   |
    /// | /count         | adds one in the store                                        | the sum                  |
    /// | /jobs/N        | sends N jobs                                                 | `done`                   |
    /// | /jobs          |                                                              | what became of the jobs  |
    /// | /note/TEXT     | sends a note to the supervisor's end                         | `done`                   |
    /// | /crash/KIND    | crashes, as a `CrashKind` says                               |                          |
    /// | /block/MS      | blocks the loop                                              | `done`                   |
    /// | /spin/MS       | keeps the loop busy                                          | `done`                   |
    /// | /blocking/MS   | blocks a thread beside the loop                              | the thread's name        |
    /// | /blocking-crash | crashes on such a thread                                    |                          |
    /// | /helper/KIND   | does that in a helper process                                | what it says, or the error |
    /// | /single        |                                                              | whether it has one thread |
    /// | /run           | runs echo(1)                                                 | what it has printed      |
    /// | /extend/MS/FOR | says that no sign of life will come for FOR, then blocks     | `done`                   |
    /// | /slow/MS       | waits without blocking                                       | `done`                   |
    /// | /eat/MIB       | takes memory and keeps it                                    | `done`                   |
    func body(_ path: [String]) async throws -> String {
        let amount = path.dropFirst().first.flatMap { Int($0) } ?? 0
        switch path.first {
        case "owner": return "\(LockOwner.current.word)"
        case "name":
            for lock in stripeLocks { lock.word.pointee.store(word(path), ordering: .relaxed) }
        case "named": return "\(stripeLocks.count { $0.owner.word == word(path) })"
        case "leave": _exit(0)
        case "scribble":
            let memory = MemoryFile(owning: Descriptor(owning: try duplicate(store.descriptors.memory)))
            let header = try SharedMapping(memory, byteCount: 4096)
            for offset in stride(from: 0, to: 80, by: 8) {
                header.base.storeBytes(of: .max, toByteOffset: offset, as: UInt64.self)
            }
            return "done"
        case "count": return "\(try store.increment("count"))"
        case "jobs" where path.count > 1:
            for job in 0..<amount { try await things.queue?.send(job) }
        case "jobs": return try things.jobs()
        case "note":
            let text = path.dropFirst().first ?? ""
            try await things.notes?.send(text == "large" ? String(repeating: "x", count: 200_000) : text)
        case "crash": path.dropFirst().first.flatMap { CrashKind(rawValue: $0) }?.crash(Int(getpid()))
        case "block":
            block(for: .milliseconds(amount))
        case "spin":
            let end = MonotonicInstant.now + .milliseconds(amount)
            while MonotonicInstant.now < end {}
        case "blocking":
            return try await Blocking.run {
                block(for: .milliseconds(amount))
                return (try? SmallFile.read("/proc/thread-self/comm"))?.filter { $0 != "\n" } ?? ""
            }
        case "blocking-crash": try await Blocking.run { CrashKind.memory.crash(Int(getpid())) }
        case "helper":
            do { return try await helper.run(path.last ?? "") } catch { return "\(error)" }
        case "single": return "\(ForkRuntime.isSingleThreaded)"
        case "run":
            let output = try await Subprocess.run(Command("echo", "run")).check().stdoutText
            return output.filter { $0 != "\n" }
        case "extend":
            worker.heartbeat(extend: .milliseconds(path.dropFirst(2).first.flatMap { Int($0) } ?? 0))
            block(for: .milliseconds(amount))
        case "slow": try await EventLoop.sleep(for: .milliseconds(amount))
        case "eat":
            let bytes = amount << 20
            // Not what the optimiser knows: an allocation that nobody reads is none.
            let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
            if let memory, memory != MAP_FAILED { memset(memory, 1, bytes) }
        default: return "\(worker.taskID) \(getpid()) \(worker.generation)"
        }
        return "done"
    }
}

extension Answer {
    private var stripeLocks: [SharedLock] { (0..<store.table.layout.stripes).map { store.table.sharedLock($0) } }

    private func word(_ path: [String]) -> UInt64 { path.dropFirst().first.flatMap { UInt64($0) } ?? 0 }
}

/// Keeps the thread busy. The request for a stack, a signal, ends at most one of the sleeps.
private func block(for duration: Duration) {
    let end = MonotonicInstant.now + duration
    while MonotonicInstant.now < end { usleep(UInt32(clamping: (end - .now).saturatedNanoseconds / 1_000)) }
}
