// Writers that are killed at random instants, and readers that must never notice.

import Prefork
import PreforkFixtureSupport
import PreforkStore
import PreforkSystem

private enum Storm {
    static let keys = 200
    static let accounts = 8
    static let writers = 4
    static let balance: Int64 = 1_000
}

/// `kill-storm KILLS SEED`
func killStormScenario(_ arguments: [String]) throws {
    let kills = arguments.number(0, default: 100)
    let seed = arguments.number(1, default: UInt64(1))
    let store = try SharedStore(
        capacity: .init(entries: 4_000, bytes: 4 << 20, publishLog: 64 << 10), lockTimeout: .seconds(20))
    for account in 0..<Storm.accounts { try store.set("account \(account)", Storm.balance) }
    // 0: torn values, 1: wrong sums, 2: reads, 3 + 2i: increments that a writer saw succeed, 4 + 2i: its operations.
    let counters = try SharedWords()
    let reader = try child { readForEver(store, counters, seed) }
    var writers: [pid_t] = []
    for index in 0..<Storm.writers { writers.append(try child { try writeForEver(store, counters, index, seed) }) }
    var random = SplitMix64(seed: seed)
    for kill in 0..<kills {
        usleep(UInt32(50 + random.below(800)))
        let index = random.below(Storm.writers)
        killAndReap(writers[index])
        // Whatever the dead one held: the next writer of every stripe gets through.
        try store.set("after \(kill % 64)", kill)
        writers[index] = try child { try writeForEver(store, counters, index, seed &+ UInt64(kill) &+ 1) }
    }
    for pid in writers { killAndReap(pid) }
    killAndReap(reader)
    report(store, counters, kills)
}

private func report(_ store: SharedStore, _ counters: SharedWords, _ kills: Int) {
    store.table.repair()
    let contradictions = (try? store.table.contradictions()) ?? ["a lock is stuck"]
    var torn = counters[0]
    for (key, value) in store.getAll(prefix: "value ")
    where !CheckedValue.isWhole(value.bytes, key: Int(key.dropFirst(6))!) {
        torn += 1
    }
    let told = (0..<Storm.writers).reduce(0) { $0 + counters[3 + 2 * $1] }
    let hits = (try? store.get("hits", default: 0)) ?? 0
    let operations = (0..<Storm.writers).reduce(0) { $0 + counters[4 + 2 * $1] }
    let total = (0..<Storm.accounts).reduce(Int64(0)) {
        $0 + ((try? store.get("account \($1)", default: Int64(0))) ?? 0)
    }
    let stats = store.stats
    say("torn \(torn) wrong-sums \(counters[1]) contradictions \(contradictions.count) damages \(stats.damages)")
    say("counter \(hits >= told && hits <= told + kills ? "right" : "wrong: \(hits) of \(told)")")
    say("money \(total == Storm.balance * Int64(Storm.accounts) ? "right" : "wrong: \(total)")")
    say("recovered \(stats.recoveries > 0)")
    say("# \(kills) kills, \(stats.recoveries) inside a lock, \(operations) writes, \(counters[2]) reads")
    for contradiction in contradictions.prefix(10) { say("# \(contradiction)") }
}

private func readForEver(_ store: SharedStore, _ counters: SharedWords, _ seed: UInt64) {
    var random = SplitMix64(seed: seed ^ 0xABCD)
    let accounts = (0..<Storm.accounts).map { "account \($0)" }
    while true {
        counters[2] += 1
        let key = random.below(Storm.keys)
        if let value = try? store.get("value \(key)", as: [UInt8].self), !CheckedValue.isWhole(value, key: key) {
            counters[0] += 1
        }
        if counters[2] % 16 == 0, let values = try? store.get(several: accounts) {
            let sum = values.values.reduce(Int64(0)) {
                $0 + ((try? $1.decoded(as: Int64.self, codec: CBORCodec())) ?? 0)
            }
            if sum != Storm.balance * Int64(Storm.accounts) { counters[1] += 1 }
        }
        if counters[2] % 256 == 0 {
            for (key, value) in store.getAll(prefix: "value 1")
            where !CheckedValue.isWhole(value.bytes, key: Int(key.dropFirst(6))!) {
                counters[0] += 1
            }
        }
    }
}

private func writeForEver(_ store: SharedStore, _ counters: SharedWords, _ writer: Int, _ seed: UInt64) throws {
    var random = SplitMix64(seed: seed &* 31 &+ UInt64(writer))
    while true {
        let key = random.below(Storm.keys)
        do {
            switch random.below(10) {
            case 0: try store.delete("value \(key)")
            case 1:
                try store.increment("hits")
                counters[3 + 2 * writer] += 1
            case 2, 3: try transfer(store, &random)
            case 4:
                let value = CheckedValue.make(key: key, length: random.below(40_000), &random)
                try store.set("value \(key)", value)
            case 5:
                let value = CheckedValue.make(key: key, length: random.below(200), &random)
                try store.set("value \(key)", value, expires: .microseconds(1 + random.below(2_000)))
            case 6: try store.publish("news", CheckedValue.make(key: key, length: random.below(200), &random))
            default: try store.set("value \(key)", CheckedValue.make(key: key, length: random.below(600), &random))
            }
        } catch {
            // A store of this size can be full for a moment. Nothing else may happen.
            guard case .full = error.code else { throw error }
        }
        counters[4 + 2 * writer] += 1
    }
}

private func transfer(_ store: SharedStore, _ random: inout SplitMix64) throws(StoreError) {
    let from = random.below(Storm.accounts)
    let to = (from + 1 + random.below(Storm.accounts - 1)) % Storm.accounts
    let amount = Int64(random.below(20))
    var step = AtomicStep()
    step.increment("account \(from)", by: -amount)
    step.increment("account \(to)", by: amount)
    _ = try store.perform(step)
}
