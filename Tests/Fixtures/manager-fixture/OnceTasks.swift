// Once-tasks whose runs write down what they do: each line of the journal is one write(2) with O_APPEND.

import Glibc
import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// Where runs write, and what shows that two are going at once: the lock of a file, which the kernel takes back at the
/// end of the process (flock(2)).
private struct Journal {
    let path: String

    func write(_ words: String) {
        let file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o666)
        require(file >= 0, "no journal")
        let line = Array("\(MonotonicInstant.now.nanoseconds) \(words) \(getpid())\n".utf8)
        require(Glibc.write(file, line, line.count) == line.count, "journal")
        close(file)
    }

    /// - Returns: the descriptor, which holds the lock until it is closed.
    func lock(_ name: String) -> Int32 {
        let file = open("\(path).\(name).lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
        if flock(file, LOCK_EX | LOCK_NB) != 0 { write("DOUBLE \(name)") }
        return file
    }
}

/// A pool, or with `plain=1` a manager alone, with tasks that write to a journal.
///
/// Settings: `journal=PATH`, `switches=FOLDER`, `every=MS`, `work=MS`, `timeout=MS`, `grace=MS`, `misfire=`, `cron=`,
/// `tasks=N`, `workers=N`, `in=worker`, and `lease=SOCKET`, `life=MS`, `patience=MS` of a server's lease.
/// What each run does besides, by switches: `crash`, `throw`, `hang`, `stubborn`
/// (it blocks its loop), `stopped` (SIGSTOP to itself); in the second image of an upgrade with `new-` before it.
/// `new-main-ends` and `new-without` concern the second image as a whole.
func onceScenario(_ arguments: [String]) throws {
    let settings = Settings(arguments)
    let journal = Journal(path: settings["journal"] ?? "/dev/stdout")
    let switches = Switches(folder: settings["switches"] ?? "/nonexistent")
    let misfire: MisfirePolicy =
        switch settings["misfire"] {
        case "each": .runEach
        case "skip": .skip
        default: .runNow
        }
    let store = try SharedStore(name: "once")
    let place = settings["in"] == "worker" ? OncePlace.worker : .process
    let image = Int(try store.increment("images"))
    let work = settings.milliseconds("work") ?? .zero
    @Sendable func isOn(_ name: String) -> Bool { switches.isOn(image == 1 ? name : "new-\(name)") }
    @Sendable func body(_ run: OnceRun) async throws {
        let lock = journal.lock(run.name)
        defer { close(lock) }
        let words = "\(run.name) \(run.number) \(run.dueNumber) \(run.attempt) \(run.missed) \(image)"
        journal.write("begin \(words)")
        if let token = run.fencingToken {
            journal.write("token \(run.name) \(token) \(run.dueTime.saturatedNanoseconds / 1_000_000) \(image)")
        }
        if isOn("crash") { abort() }
        if isOn("throw") { throw SystemError("made up", .invalidArgument) }
        if isOn("stopped") {
            journal.write("stopped \(words)")
            raise(SIGSTOP)
        }
        if isOn("stubborn") {
            journal.write("stubborn \(words)")
            while true { pause() }
        }
        do {
            while isOn("hang") { try await EventLoop.sleep(for: .milliseconds(2)) }
            if work > .zero { try await EventLoop.sleep(for: work) }
        } catch {
            journal.write("cancelled \(words)")
            throw error
        }
        journal.write("end \(words)")
    }
    var runtime = ForkRuntime(workers: .count(settings.number("workers") ?? 1))
    // Workers are killed again and again, and the storm asks for the time of the next run.
    if place == .worker { runtime.settings.restarts.backoff.maximum = .zero }
    let plain = ProcessManager()
    let isPlain = settings["plain"] != nil
    if image == 2, !Handover.isTrial, switches.isOn("new-main-ends") { exit(7) }
    for number in 0..<(image == 2 && switches.isOn("new-without") ? 0 : settings.number("tasks") ?? 1) {
        let (name, timeout, grace) = ("task\(number)", settings.milliseconds("timeout"), settings.milliseconds("grace"))
        if let cron = settings["cron"] {
            try runtime.once(name, cron: cron, in: place, timeout: timeout, misfire: misfire, grace: grace, body)
            continue
        }
        let every = settings.milliseconds("every") ?? .seconds(3600)
        #if Valkey
            if let lease = leaseOfScenario(settings) {
                try runtime.once(
                    name, every: every, lease: lease, in: place, timeout: timeout, misfire: misfire, grace: grace, body)
                continue
            }
        #endif
        if isPlain {
            try plain.once(name, every: every, timeout: timeout, misfire: misfire, grace: grace, body)
        } else {
            try runtime.once(name, every: every, in: place, timeout: timeout, misfire: misfire, grace: grace, body)
        }
    }
    if isPlain {
        say("begins")
        say("ended \(try plain.run())")
        return
    }
    runtime.hooks.onAllReady = { say("all ready, image \(image)") }
    let summary = try runtime.run { worker in try await worker.stopRequested.wait() }
    say("ended \(summary.outcome)")
}

#if Valkey
    private func leaseOfScenario(_ settings: Settings) -> ValkeyLease? {
        guard let path = settings["lease"] else { return nil }
        var server = ValkeySettings(.unix(path: path), prefix: "test:")
        server.commandTimeout = settings.milliseconds("patience") ?? .seconds(30)
        server.connectTimeout = .seconds(30)
        server.reconnectDelay = .milliseconds(1) ... .milliseconds(50)
        return ValkeyLease(server, duration: settings.milliseconds("life") ?? .seconds(60))
    }
#endif

/// What a caller may do with a task by the manager's other calls, and what is refused when it is added.
func onceRefusalsScenario(_ arguments: [String]) throws {
    let manager = ProcessManager()
    func attempt(_ what: String, _ body: () throws -> Void) {
        do { try body() } catch { return say("\(what): \(error)") }
        say("\(what): done")
    }
    attempt("add") { try manager.once("a", every: .seconds(3600)) {} }
    attempt("again") { try manager.once("a", every: .seconds(3600)) {} }
    attempt("target") { try manager.addTarget("b", TargetOptions(dependencies: ["a"])) {} }
    attempt("same as target") { try manager.once("b", cron: "@daily") {} }
    attempt("empty") { try manager.once("", cron: "@daily") {} }
    attempt("cron") { try manager.once("c", cron: "61 * * * *") {} }
    attempt("every") { try manager.once("c", every: .zero) {} }
    attempt("place") { try manager.once("c", every: .seconds(1), in: .worker) {} }
    attempt("jitter") { try manager.once("c", every: .seconds(1), jitter: .seconds(2)) {} }
    attempt("timeout") { try manager.once("c", every: .seconds(1), timeout: .zero) {} }
    attempt("launch") { try manager.launch("a") }
    attempt("start") { try manager.start("a") }
    attempt("restart") { try manager.restart("a") }
    attempt("stop by code") { try manager.send(.stop, to: "a") }
    attempt("dependent") { try manager.launch("b") }
    attempt("terminate") { try manager.terminate("a") }
    attempt("remove dependent") { try manager.removeTarget("b") }
    attempt("remove") { try manager.removeTarget("a") }
    attempt("add once more") { try manager.once("a", every: .seconds(3600)) {} }
}
