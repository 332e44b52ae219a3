// Workers that look at, and misuse, what they share with their supervisor.

import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// Whether a worker can make the supervisor's words writable: what its maps say, and what mprotect(2) answers.
func ordersScenario(_ arguments: [String]) throws {
    var runtime = ForkRuntime(workers: .count(2))
    runtime.hooks.onAllReady = { say("all ready") }
    try runtime.manager.addTarget("beside") { child in
        say("managed: \(ordersAsSeenHere())")
        child.ready()
        while true { pause() }
    }
    let summary = try runtime.run { worker in
        say("worker: \(ordersAsSeenHere())")
        try await worker.stopRequested.wait()
        say("worker stops")
    }
    exit(summary.outcome.exitCode)
}

private func ordersAsSeenHere() -> String {
    let maps = (try? SmallFile.read("/proc/self/maps", limit: 1 << 22)) ?? ""
    let found = maps.split(separator: "\n").filter { $0.contains("memfd:prefork-orders") }
    return found.map { line in
        let words = line.split(separator: " ")
        let ends = words[0].split(separator: "-").compactMap { UInt(String($0), radix: 16) }
        let answer = mprotect(UnsafeMutableRawPointer(bitPattern: ends[0])!, Int(ends[1] - ends[0]), PROT_READ | PROT_WRITE)
        return "\(words[1]) \(answer == 0 ? "writable" : errno == EACCES ? "EACCES" : "\(errno)")"
    }.joined(separator: ", ")
}

/// Processes of worker 0 take O_NONBLOCK from every eventfd that it has, and then ring them without end, or wait in
/// read(2) to empty each as soon as it rings. Worker 1 dies and comes back all the time.
func stormingBellsScenario(_ arguments: [String]) throws {
    var runtime = ForkRuntime(workers: .count(2))
    runtime.drainTimeout = .milliseconds(500)
    runtime.restarts.limit = 10_000
    runtime.restarts.backoff.maximum = .milliseconds(10)
    runtime.hooks.onReady = { say("ready \($0.taskID)") }
    let summary = try runtime.run { worker in
        if worker.taskID == 1 {
            try await EventLoop.sleep(for: .milliseconds(50))
            worker.exit(code: 3)
        }
        let counters = (0..<64).filter { isEventCounter($0) }
        for number in counters { _ = fcntl(number, F_SETFL, 0) }
        if arguments.first == "empty" {
            for number in counters + counters { _ = try child { while true { empty(number) } } }
        } else {
            for _ in 0..<3 {
                _ = try child { while true { counters.forEach(fillAndEmpty) } }
            }
        }
        while true { sleep(100) }
    }
    say("outcome \(summary.outcome)")
    exit(summary.outcome.exitCode)
}

private func isEventCounter(_ number: Int32) -> Bool {
    var target = [UInt8](repeating: 0, count: 64)
    let count = readlink("/proc/self/fd/\(number)", &target, target.count)
    return String(decoding: target.prefix(max(0, count)), as: UTF8.self) == "anon_inode:[eventfd]"
}

private func fillAndEmpty(_ number: Int32) {
    var value: UInt64 = 1
    _ = write(number, &value, 8)
    empty(number)
}

private func empty(_ number: Int32) {
    var value: UInt64 = 0
    _ = read(number, &value, 8)
}
