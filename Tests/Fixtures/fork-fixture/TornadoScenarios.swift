// The form of tornado: forkProcesses returns in the worker.

import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// Three workers: task 0 exits with 2, then 3, then 0. Task 1 exits with 0 at once. Task 2 dies by SIGKILL, then exits
/// with 0. Follows tornado's own test of process.py.
func tornadoScenario(_ arguments: [String]) throws {
    let counters = try SharedWords()
    say("parent \(taskID().map { "\($0)" } ?? "nil")")
    let id = try forkProcesses(3, maxRestarts: 3)
    let life = counters.next(id)
    say("task \(id) life \(life) taskID \(taskID().map { "\($0)" } ?? "nil")")
    switch (id, life) {
    case (0, 1): exit(2)
    case (0, 2): exit(3)
    case (2, 1): kill(getpid(), SIGKILL)
    default: exit(0)
    }
}

/// Task 0 always fails. The others would never end.
func maxRestartsScenario(_ arguments: [String]) throws {
    let id = try forkProcesses(3, maxRestarts: 2)
    say("task \(id)")
    if id == 0 { exit(1) }
    while true { pause() }
}

/// A second thread makes forking impossible.
func threadsScenario(_ arguments: [String]) throws {
    try startThread { while true { pause() } }
    do {
        _ = try forkProcesses(2)
    } catch {
        say("code \(error.code)")
        say("text \(error)")
    }
}

func forkInWorkerScenario(_ arguments: [String]) throws {
    _ = try forkProcesses(1)
    do {
        _ = try forkProcesses(1)
    } catch {
        say("code \(error.code)")
    }
    do {
        try ForkRuntime(workers: .count(1)).run { _ in }
    } catch {
        say("code \(error.code)")
    }
}

/// PREFORK_WORKERS comes from the test.
func badCountScenario(_ arguments: [String]) throws {
    for workers in [WorkerCount.count(0), .count(-1), .count(1_000_000), .perCore] {
        do {
            try ForkRuntime(workers: workers).run { _ in }
            say("\(workers): no error")
        } catch {
            say("\(workers): \(error)")
        }
    }
}

/// Text that waits in stdio's buffer is written once, not once per process.
func stdioScenario(_ arguments: [String]) throws {
    print("before the fork")
    let id = try forkProcesses(4)
    print("worker \(id)")
    exit(0)
}

/// Siblings draw different numbers.
func randomScenario(_ arguments: [String]) throws {
    srandom(1)
    srand48(1)
    _ = try forkProcesses(4)
    say("draws \(random()) \(lrand48())")
    exit(0)
}

/// A child that the program made itself is the program's, in the supervisor and in workers.
func ownChildrenScenario(_ arguments: [String]) throws {
    let own = fork()
    if own == 0 { _exit(7) }
    let summary = try ForkRuntime(workers: .count(2)).run { worker in
        let child = fork()
        if child == 0 { _exit(9) }
        // Time enough for a supervisor that takes any child to take this one.
        try await EventLoop.sleep(for: .milliseconds(100))
        var status: Int32 = 0
        let answer = waitpid(child, &status, 0)
        say("worker's child: \(answer == child ? "exit \((status >> 8) & 0xFF)" : "stolen")")
    }
    var status: Int32 = 0
    let answer = waitpid(own, &status, 0)
    say("supervisor's child: \(answer == own ? "exit \((status >> 8) & 0xFF)" : "stolen"), outcome \(summary.outcome)")
}

/// The descriptors of a worker, for a test that looks for the supervisor's among them.
func descriptorsScenario(_ arguments: [String]) throws {
    let id = try forkProcesses(3)
    var names: [String] = []
    for fd in 0..<64 {
        var target = [CChar](repeating: 0, count: 256)
        let count = readlink("/proc/self/fd/\(fd)", &target, 255)
        if count > 0 { names.append(String(decoding: target[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)) }
    }
    say("task \(id) has \(names.joined(separator: " "))")
    exit(0)
}
