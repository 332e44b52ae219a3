// A store in programs that were started by exec, publishers in numbers, and a race for the last place.

import Prefork
import PreforkFixtureSupport
import PreforkStore
import PreforkSystem

/// Makes a store and starts this program again as one that opens it by descriptor.
func execScenario(_ arguments: [String]) throws {
    let store = try SharedStore(capacity: .init(entries: 100, bytes: 64 << 10))
    try store.set("greeting", "hello")
    let descriptors = store.descriptors
    let pid = try child {
        for number in [descriptors.memory, descriptors.bell] { _ = fcntl(number, F_SETFD, 0) }
        let words = [CommandLine.arguments[0], "adopt", "\(descriptors.memory)", "\(descriptors.bell)"]
        var argv = words.map { strdup($0) } + [nil]
        execv("/proc/self/exe", &argv)
    }
    say("child \(waitForEnd(pid))")
    say("answer \(try store.get("answer", default: "none"))")
}

func adoptScenario(_ arguments: [String]) throws {
    let numbers = arguments.compactMap { Int32($0) }
    let store = try SharedStore(adopting: StoreDescriptors(memory: numbers[0], bell: numbers[1]))
    say("found \(try store.get("greeting", default: "nothing"))")
    try store.set("answer", "from another program")
}

/// `publish-storm MESSAGES`: four publishers, four subscribers with small rings. Each subscriber must have seen or been
/// told of every message, in the order of each publisher.
func publishStormScenario(_ arguments: [String]) throws {
    let count = arguments.number(0, default: 1_000)
    let store = try SharedStore(capacity: .init(entries: 16, bytes: 64 << 10, publishLog: 16 << 10))
    let ready = try SharedWords()
    let subscribers = try (0..<4).map { index in
        try child { try subscribe(store, ready, index, total: 4 * count) }
    }
    until { ready[0] == 4 }
    let publishers = try (0..<4).map { publisher in
        try child {
            for number in 0..<count {
                try store.publish("news", [publisher, number].map { "\($0)" }.joined(separator: " "))
            }
        }
    }
    for pid in publishers where waitForEnd(pid) != 0 { say("a publisher failed") }
    say("subscribers \(subscribers.map { waitForEnd($0) })")
}

private func subscribe(_ store: SharedStore, _ ready: SharedWords, _ index: Int, total: Int) throws {
    var reader = try PublishLogReader(store.table, channel: Array("news".utf8), resumingAs: nil)
    while !(try store.add("turn", index)) { usleep(50) }
    ready[0] += 1
    try store.delete("turn")
    var last = [Int](repeating: -1, count: 4)
    var seen = 0
    while seen < total {
        switch reader.next() {
        case .message(_, let bytes):
            let parts = String(decoding: bytes, as: UTF8.self).split(separator: " ").compactMap { Int($0) }
            guard parts.count == 2, parts[1] > last[parts[0]] else { throw StoreError(.badStep("out of order")) }
            last[parts[0]] = parts[1]
            seen += 1
        case .lagged(let lost): seen += lost
        case nil: sched_yield()
        }
        // The slow one.
        if index == 3, seen % 64 == 0 { usleep(200) }
    }
    if seen != total { throw StoreError(.badStep("\(seen) of \(total)")) }
}

/// Four processes fill one store to the last place: never more entries than it was made for, and never fewer.
func lastPlaceScenario(_ arguments: [String]) throws {
    let store = try SharedStore(capacity: .init(entries: 1_000, bytes: 4 << 20))
    let children = try (0..<4).map { process in
        try child {
            for index in 0..<1_000 { try? store.set("\(process) \(index)", index) }
        }
    }
    for pid in children { waitForEnd(pid) }
    // Two writers for one last place may both be refused. A single writer is not.
    for index in 0..<1_000 where store.count < 1_000 { try? store.set("late \(index)", index) }
    say("entries \(store.count) contradictions \(try store.table.contradictions())")
}
