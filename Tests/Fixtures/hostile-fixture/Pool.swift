// The pool: worker 0 and one managed process are hostile, the others serve.

import HostileC
import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// `serve folder=PATH port=P witness=PID user=UID [receives=1]`: a program with one of everything that processes of a pool share.
/// The environment says where log, pid file and control socket are, and as whom the workers run.
func serveScenario(_ arguments: [String]) throws {
    let settings = Settings(arguments)
    let folder = settings["folder"] ?? "/nonexistent"
    // A killed judge leaves no process behind.
    hostile_die_with_parent()
    let shared = try SharedThings()
    let desks = settings["receives"] == "1" ? try Desks() : nil
    try desks?.open(shared)
    let listener = try Listener(.tcp("127.0.0.1", UInt16(settings.number("port") ?? 0)))
    // Honest workers have a socket each, so that each can be asked by itself.
    let own = try (1...Pool.mostWorkers).map { try Listener(.unix("\(folder)/worker-\($0)")) }
    let hostility = Hostility(
        folder: folder, supervisor: getpid(), witness: Int32(settings.number("witness") ?? 0),
        user: UInt32(settings.number("user") ?? 65_534))
    var runtime = ForkRuntime(workers: .count(Pool.workers))
    runtime.restarts = Pool.restarts
    runtime.bootTimeout = .seconds(5)
    runtime.drainTimeout = .seconds(1)
    // Longer than a call of a store may wait for a lock: a sibling that waits is not hung.
    runtime.hangs = HangPolicy(soft: .seconds(2), grace: .milliseconds(500))
    // The hostile worker writes over the requests of all: the supervisor looks at them by itself, too.
    runtime.settings.slowRequest = .milliseconds(200)
    runtime.settings.quarantine = QuarantinePolicy(crashes: 2, per: .seconds(1))
    try runtime.manager.addTarget(
        "hostile", TargetOptions(onFailure: .restart(Pool.restarts), grace: .milliseconds(500))
    ) { (child: borrowing ChildContext<String>) in
        hostility.attackWhenOrdered(isWorker: false)
    }
    try runtime.manager.addTarget(
        "helper", TargetOptions(onFailure: .restart(Pool.restarts), grace: .milliseconds(500))
    ) { (child: ManagedChild<String>) in
        while !child.loop.stopRequest.isRequested {
            do {
                _ = try await shared.wire.receive(timeout: .milliseconds(200))
            } catch {
                try? await EventLoop.sleep(for: .milliseconds(20))
            }
        }
        return 0
    }
    say("serving")
    let summary = try runtime.run { worker in
        if worker.taskID == 0 {
            try startThread { hostility.attackWhenOrdered(isWorker: true) }
            await desks?.use(as: worker)
            try await worker.stopRequested.wait()
            return
        }
        let answers = try Answers(worker: worker, shared: shared)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await desks?.use(as: worker) }
            group.addTask { try await listener.serve(report: answers.note) { try await answers.serve($0) } }
            if worker.taskID <= own.count {
                group.addTask {
                    try await own[worker.taskID - 1].serve(report: answers.note) { try await answers.serve($0) }
                }
            }
            // One that has lost its listener must end: `waitForAll` would wait for the other one first.
            while try await group.next() != nil {}
        }
    }
    say("outcome \(summary.outcome)")
    exit(summary.outcome.exitCode)
}

enum Pool {
    static let workers = 4
    static let mostWorkers = 6
    static let honest = 1..<workers

    /// Hostile processes die all the time: a pool that gave up or waited for long would hide what they do.
    static let restarts = RestartPolicy(
        limit: .max, bootLimit: .max,
        backoff: Backoff(immediate: 0, base: .milliseconds(20), maximum: .milliseconds(50)))
}

/// What all processes of the pool share beside the supervisor's own memory. Small, so that random words hit.
struct SharedThings: Sendable {
    let store: SharedStore
    let queue: WorkQueue<String>
    let wire: Channel<String>

    init() throws {
        store = try SharedStore(capacity: StoreCapacity(entries: 4_096, bytes: 1 << 20, publishLog: 1 << 16))
        queue = try WorkQueue(
            name: "queue", WorkQueueOptions(capacity: 1 << 17, redelivery: .unacknowledged(attempts: 3)))
        wire = try Channel(name: "wire")
    }
}
