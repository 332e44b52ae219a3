// Sleepers that wake each other: with one of them killed after each of its instructions, and as whole processes.

import Prefork
import PreforkFixtureSupport
import PreforkStore
import PreforkSystem
import Stepping

/// Sleepers without processes: places that are announced in a store, and bells that say whether they were rung.
private struct Sleepers {
    let store: SharedStore
    let places: [ProcessBells.Place]
    let all: UInt64

    init(_ count: Int) throws {
        ProcessBells.make(for: count)
        places = (0..<count).compactMap { number in
            ProcessBells.takePlace(number)
            return ProcessBells.ownPlace
        }
        all = places.reduce(0) { $0 | $1.bit }
        store = try SharedStore(capacity: .init(entries: 16, bytes: 64 << 10, publishLog: 16 << 10))
        let reader = try PublishLogReader(store.table, channel: Array("news".utf8), resumingAs: nil)
        for place in places {
            let bell = try Bell(adopting: Descriptor(owning: place.number))
            bell.clear()
            _ = bell.release()
            _ = store.table.prepareToSleep(reader.sleepWish, at: place)
        }
    }

    func rung() throws -> UInt64 {
        try places.reduce(0) { try Polling.waitUntilReadable([$1.number], until: .now) ? $0 | $1.bit : $0 }
    }

    /// Every sleeper that was rung rings for others, once.
    ///
    /// - Returns: those that were rung in the end.
    func wakeInTurn() throws -> UInt64 {
        var awake: UInt64 = 0
        while case let new = try rung() & ~awake, new != 0 {
            awake |= new
            for _ in 0..<new.nonzeroBitCount { store.table.passOn() }
        }
        return awake
    }
}

/// `kill-waker publisher|sleeper STRIDE`: for k = 0, STRIDE, 2 STRIDE ... until the ring is done.
///
/// One sleeper may be lost, the one whose bit was taken and whose bell was not rung. Before the first ring the publisher
/// may lose all. They look by themselves.
func killWakerScenario(_ arguments: [String]) throws {
    let isPublisher = arguments.first == "publisher"
    let stride = max(1, arguments.number(1, default: 1))
    // The runtime looks up types when they are first used.
    let warmUp = try Sleepers(8)
    try warmUp.store.publish("news", 1)
    _ = try warmUp.wakeInTurn()
    var (failures, kills, begun) = (0, 0, 0)
    for instructions in Swift.stride(from: 0, to: Int.max, by: stride) {
        let sleepers = try Sleepers(8)
        if !isPublisher { try sleepers.store.publish("news", 1) }
        let pid = try child {
            stepping_begin()
            if isPublisher { try sleepers.store.publish("news", 1) } else { sleepers.store.table.passOn() }
        }
        guard stepping_wait(pid) == 0, stepping_run(pid, instructions) == instructions else {
            say("whole: \(try sleepers.rung().nonzeroBitCount) rung, \(try sleepers.wakeInTurn().nonzeroBitCount) awake")
            break
        }
        stepping_kill(pid)
        kills += 1
        if try sleepers.rung() == 0 {
            if !isPublisher { failures += 1 }
            // What the first one does that looks by itself.
            sleepers.store.table.passOn()
            if try sleepers.rung() == 0 { continue }
        }
        begun += 1
        let awake = try sleepers.wakeInTurn()
        if (sleepers.all & ~awake).nonzeroBitCount > 1 { failures += 1 }
    }
    say("failures \(failures) begun \(begun > 0)")
    say("# \(kills) kills, \(begun) after the first ring was due")
}

/// `tree WORKERS MESSAGES KILLS`: the last worker publishes, the others sleep. With KILLS, one of them is killed at about
/// the moment of each of the first messages.
///
/// A sleeper that no ring reaches looks by itself after half a second. Most messages must be faster.
func treeScenario(_ arguments: [String]) throws {
    let (workers, messages) = (arguments.number(0, default: 12), arguments.number(1, default: 20))
    let kills = arguments.number(2, default: 0)
    let store = try SharedStore(capacity: .init(entries: 64, bytes: 1 << 20))
    let (seen, pids) = (try SharedWords(workers), try SharedWords(workers))
    var runtime = ForkRuntime(workers: .count(workers))
    runtime.restarts.limit = kills + 10
    runtime.log = { _ in }
    let summary = try runtime.run { worker in
        worker.ready()
        let number = worker.taskID
        guard number < workers - 1 else {
            try publishToTree(store, seen, pids, sleepers: 0..<workers - 1, messages: messages, kills: kills)
            kill(getppid(), SIGTERM)
            return try await worker.stopRequested.wait()
        }
        let subscription = try store.onSubscriberReceive("news") { (message: Int) in seen[number] = message }
        pids[number] = Int(getpid())
        try await worker.stopRequested.wait()
        withExtendedLifetime(subscription) {}
    }
    say("exit \(summary.outcome.exitCode)")
}

private func publishToTree(
    _ store: SharedStore, _ seen: SharedWords, _ pids: SharedWords, sleepers: Range<Int>, messages: Int, kills: Int
) throws {
    until { sleepers.allSatisfy { pids[$0] != 0 } }
    var inTime = 0
    for message in 1...messages {
        // They have had time to fall asleep.
        usleep(3_000)
        let begin = MonotonicInstant.now
        let victim = message <= kills ? message % sleepers.count : nil
        if let victim, message % 2 == 0 { _ = kill(Int32(pids[victim]), SIGKILL) }
        try store.publish("news", message)
        if let victim, message % 2 == 1 { _ = kill(Int32(pids[victim]), SIGKILL) }
        until { sleepers.allSatisfy { seen[$0] >= message || $0 == victim } }
        if MonotonicInstant.now - begin < .milliseconds(300) { inTime += 1 }
    }
    say("in time \(inTime * 4 >= messages * 3)")
    say("# \(inTime) of \(messages) within 300 ms")
}
