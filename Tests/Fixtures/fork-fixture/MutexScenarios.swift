// Swift's Mutex, used before the fork and wanted by several threads after it.

import Prefork
import PreforkFixtureSupport
import PreforkSystem
import Synchronization

private let counter = Mutex(0)
/// Few, as each costs a turn of every other process that wants the processor.
private let rounds = 1_000

/// Workers, and a child of each worker, whose main thread and another one want the same lock all the time. Only the
/// main thread's notes of its ID are inherited.
func contendScenario(_ arguments: [String]) throws {
    counter.withLock { $0 = 1 }
    say("supervisor has process ID \(getpid())")
    let runtime = ForkRuntime(workers: .count(2))
    let summary = try runtime.run { worker in
        join(try child { try contend("child of \(worker.taskID)") })
        try contend("worker \(worker.taskID)")
    }
    say("outcome \(summary.outcome)")
}

private func contend(_ name: String) throws {
    let hasBegun = Atomic(false)
    try startThread {
        hasBegun.store(true, ordering: .releasing)
        count()
    }
    while !hasBegun.load(ordering: .acquiring) { sched_yield() }
    count()
    until { counter.withLock { $0 } >= 1 + 2 * rounds }
    say("\(name) counted \(counter.withLock { $0 })")
}

/// The holder of the lock gives the processor up, so that the other one has to wait for it in the kernel, which is
/// where IDs matter: a free lock is taken with any number.
private func count() {
    for _ in 0..<rounds {
        counter.withLock { count in
            sched_yield()
            count += 1
        }
    }
}
