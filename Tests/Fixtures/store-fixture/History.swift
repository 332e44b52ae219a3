// What four processes did to a few keys, and when, for a test to check whether it can have happened.

import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// `history SEED OPERATIONS`: prints a line for each operation: process, key, begin, end, what, result.
func historyScenario(_ arguments: [String]) throws {
    let seed = arguments.number(0, default: UInt64(1))
    let count = arguments.number(1, default: 500)
    let store = try SharedStore(capacity: .init(entries: 64, bytes: 1 << 20))
    let start = try SharedWords()
    let children = try (0..<4).map { process in
        try child {
            while start[0] == 0 { sched_yield() }
            try record(store, process, seed, count)
        }
    }
    start[0] = 1
    for pid in children where waitForEnd(pid) != 0 { say("error: a child failed") }
}

private func record(_ store: SharedStore, _ process: Int, _ seed: UInt64, _ count: Int) throws {
    var random = SplitMix64(seed: seed &* 101 &+ UInt64(process))
    var lines = ""
    for index in 0..<count {
        let key = "k\(random.below(3))"
        let value = process * count + index
        let begin = MonotonicInstant.now.nanoseconds
        let what: String
        switch random.below(5) {
        case 0, 1: what = "get \(try store.get(key, as: Int.self).map(String.init) ?? "nil")"
        case 2:
            try store.set(key, value)
            what = "set \(value)"
        case 3:
            let expected: Int? = try store.get(key)
            let middle = MonotonicInstant.now.nanoseconds
            let isDone = try store.compareAndSet(key, expecting: expected, to: value)
            let end = MonotonicInstant.now.nanoseconds
            let seen = expected.map(String.init) ?? "nil"
            lines += "\(process) \(key) \(begin) \(middle) get \(seen)\n"
            lines += "\(process) \(key) \(middle) \(end) cas \(seen) \(value) \(isDone)\n"
            continue
        default: what = "add \(try store.increment(key, by: 1_000_000))"
        }
        lines += "\(process) \(key) \(begin) \(MonotonicInstant.now.nanoseconds) \(what)\n"
    }
    say(String(lines.dropLast()))
}
