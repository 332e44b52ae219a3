// How much a store takes, what happens at its limits, and who goes first when it makes room.

import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkStore

@Suite(.timeLimit(.minutes(2)))
struct CapacityTests {
    private func store(_ entries: Int, _ bytes: Int, evicts: Bool = false) throws -> SharedStore {
        try SharedStore(
            capacity: StoreCapacity(entries: entries, bytes: bytes, publishLog: 0),
            whenFull: evicts ? .evictLeastRecentlyUsed : .refuse)
    }

    @Test(arguments: [1, 2, 7, 8, 63, 64, 100, 1_000, 4_096, 10_000])
    func exactlyAsManyEntriesAsPromised(entries: Int) throws {
        let store = try store(entries, max(4096, entries * 64))
        for index in 0..<entries { try store.set("\(index)", index) }
        #expect(store.count == entries)
        let error = #expect(throws: StoreError.self) { try store.set("one more", 1) }
        guard let code = error?.code, [.fullOfEntries(limit: entries), .full(needed: 64, free: 0)].contains(code) else {
            throw error!
        }
        #expect(store.stats.refusals == 1)
        #expect(store.stats.entries == entries && store.stats.entryLimit == entries)
        for index in 0..<entries { #expect(try store.get("\(index)") == index) }
        // In its place is room, and where one has gone.
        try store.set("0", entries)
        try store.delete("\(entries - 1)")
        try store.set("one more", 1)
        #expect(store.count == entries)
        #expect(try store.table.contradictions() == [])
    }

    @Test func fullOfBytesIsATypedErrorAndNothingIsLost() throws {
        // A value of 4,000 bytes takes a slab and a block: 65 units of 64 bytes.
        let store = try store(1_000, 16 * 65 * 64)
        for index in 0..<16 { try store.set("\(index)", [UInt8](repeating: UInt8(index), count: 4_000)) }
        let before = store.getAll()
        for _ in 0..<3 {
            let error = #expect(throws: StoreError.self) { try store.set("0", [UInt8](repeating: 1, count: 20_000)) }
            guard case .full(let needed, let free) = error?.code else { throw error! }
            #expect(needed > free)
            #expect("\(error!)" == "0: the store is full: \(needed) bytes needed, \(free) free")
            #expect(throws: StoreError.self) { try store.set("new", [UInt8](repeating: 1, count: 4_000)) }
            #expect(throws: StoreError.self) {
                try store.compareAndSet("new", expecting: nil, to: before["0"]!.bytes + before["0"]!.bytes)
            }
        }
        #expect(store.getAll() == before)
        #expect(try store.table.contradictions() == [])
    }

    @Test func incrementsAndSmallerValuesWorkInAFullStore() throws {
        let store = try store(10, 4096)
        for index in 0..<10 { try store.set("\(index)", index) }
        #expect(throws: StoreError.self) { try store.increment("new") }
        #expect(throws: StoreError.self) { try store.add("new", 1) }
        #expect(try !store.compareAndSet("new", expecting: 1, to: 2))
        for index in 0..<10 { #expect(try store.increment("\(index)") == Int64(index) + 1) }
        #expect(try store.compareAndSet("0", expecting: 1, to: 11))
        #expect(try store.setLife("1", .seconds(1_000)))
        #expect(store.count == 10)
        #expect(try store.table.contradictions() == [])
    }

    /// A new version is written before the old one is freed. The promise is about what is kept, not about that moment.
    @Test(arguments: [40, 500, 1_900, 3_000, 4_096, 20_000, 250_000, 1 << 20])
    func aValueInAFullStoreCanBeReplaced(size: Int) throws {
        let store = try store(100_000, max(64 << 10, size * 5 / 2))
        var keys = 0
        while (try? store.set("\(keys)", [UInt8](repeating: 1, count: size))) != nil { keys += 1 }
        try #require(keys > 1)
        while (try? store.set("filler \(store.count)", [UInt8](repeating: 3, count: 30))) != nil {}
        for key in 0..<min(keys, 50) { try store.set("\(key)", [UInt8](repeating: 2, count: size)) }
        for key in 0..<min(keys, 50) { #expect(try store.get("\(key)") == [UInt8](repeating: 2, count: size)) }
        #expect(try store.table.contradictions() == [])
    }

    /// What the blocks of one size cannot use of a slab must not come out of what was promised.
    @Test(arguments: [260, 600, 700])
    func aLargeStoreTakesWhatItPromisesInEverySize(size: Int) throws {
        let bytes = 64 << 20
        let store = try store(400_000, bytes)
        let block = EntryShape(keyBytes: 6, valueBytes: size).units * StoreLayout.unitBytes
        let value = [UInt8](repeating: 1, count: size)
        for index in 0..<bytes / block { try store.set("\(100_000 + index)", value) }
        #expect(store.stats.bytes > bytes - block)
    }

    @Test(arguments: [1, 2, 3]) func mixedSizesFillAStoreAfterAnyHistory(seed: UInt64) throws {
        var numbers = SplitMix64(seed: seed)
        let bytes = 4 << 20
        let store = try store(20_000, bytes)
        func size() -> Int { [40, 200, 600, 1_900, 5_000, 60_000][numbers.below(6)] }
        for round in 0..<20_000 {
            let key = "\(numbers.below(2_000))"
            // In the last rounds the sizes are others than those the slabs were cut for.
            let size = round < 15_000 ? size() : [100, 400, 1_000, 3_000][numbers.below(4)]
            if numbers.below(3) == 0 {
                try store.delete(key)
            } else {
                do {
                    try store.set(key, [UInt8](repeating: UInt8(numbers.below(256)), count: numbers.below(size)))
                } catch {
                    guard case .full(let needed, let free) = error.code else { throw error }
                    #expect(needed > free, "seed \(seed)")
                }
            }
        }
        for index in 0... {
            do {
                try store.set("last \(index)", [UInt8](repeating: 1, count: 300))
            } catch {
                guard case .full(let needed, let free) = error.code else { throw error }
                #expect(needed > free, "seed \(seed)")
                break
            }
        }
        #expect(store.stats.bytes > bytes - 400, "seed \(seed)")
        #expect(try store.table.contradictions() == [])
    }

    @Test func whatIsUsedAllTheTimeStays() throws {
        try checkEviction(store(1_000, 16 << 20, evicts: true), valueBytes: 8)
    }

    /// The clock of the ages must not stand still in a store whose bytes run out long before its entries.
    @Test func whatIsUsedAllTheTimeStaysInAStoreFullOfBytes() throws {
        try checkEviction(store(65_536, 1 << 20, evicts: true), valueBytes: 1_900)
        try checkEviction(store(65_536, 4 << 20, evicts: true), valueBytes: 20_000)
    }

    private func checkEviction(_ store: SharedStore, valueBytes: Int) throws {
        let value = [UInt8](repeating: 1, count: valueBytes)
        let hot = (0..<20).map { "hot \($0)" }
        for key in hot { try store.set(key, value) }
        for index in 0..<4_000 {
            try store.set("cold \(index)", value)
            if index % 10 == 0 { for key in hot { _ = try store.contains(key) } }
        }
        #expect(try hot.filter { try !store.contains($0) } == [])
        #expect(try store.contains("cold 3999"))
        #expect(try !store.contains("cold 0"))
        #expect(store.stats.evictions > 1_000)
        #expect(store.stats.refusals == 0)
        #expect(try store.table.contradictions() == [])
    }

    @Test func expiredEntriesGoBeforeAllOthers() async throws {
        // One stripe.
        let store = try store(100, 1 << 20, evicts: true)
        for index in 0..<50 { try store.set("stays \(index)", index) }
        for index in 0..<50 { try store.set("goes \(index)", index, expires: .milliseconds(1)) }
        try await eventually("they have expired") { store.count == 50 }
        for index in 0..<50 { try store.set("new \(index)", index) }
        #expect(store.stats.evictions == 0)
        #expect(store.stats.expirations == 50)
        #expect(store.count == 100)
        try store.set("one more", 1)
        #expect(store.stats.evictions == 1)
    }

    @Test func aValueThatCanNeverFitEvictsNobody() throws {
        let store = try store(100, 64 << 10, evicts: true)
        for index in 0..<50 { try store.set("\(index)", index) }
        #expect(throws: StoreError.self) { try store.set("large", [UInt8](repeating: 1, count: 70_000)) }
        #expect(store.count == 50)
        #expect(store.stats.evictions == 0)
        try store.set("fits", [UInt8](repeating: 1, count: 60_000))
        #expect(try store.contains("fits"))
    }

    @Test func aStepIsNotMadeRoomForByItsOwnKeys() throws {
        let store = try store(8, 4096, evicts: true)
        for index in 0..<8 { try store.set("\(index)", index) }
        var step = AtomicStep()
        for index in 0..<4 { step.increment("\(index)", by: 100) }
        for index in 0..<4 { step.set("new \(index)", index) }
        #expect(try store.perform(step))
        #expect(try store.getAll(as: Int.self).values.sorted() == [0, 1, 2, 3, 100, 101, 102, 103])
        var tooLarge = AtomicStep()
        for index in 0..<9 { tooLarge.set("other \(index)", index) }
        #expect(throws: StoreError(.fullOfEntries(limit: 8))) { try store.perform(tooLarge) }
        #expect(try store.table.contradictions() == [])
    }

    @Test func theSmallestStoreIsAStore() throws {
        for evicts in [false, true] {
            let store = try store(1, 4096, evicts: evicts)
            try store.set("key", [UInt8](repeating: 1, count: 2_000))
            try store.set("key", [UInt8](repeating: 2, count: 2_000))
            #expect(try store.get("key") == [UInt8](repeating: 2, count: 2_000))
            #expect(throws: StoreError.self) { try store.set("key", [UInt8](repeating: 1, count: 4_000)) }
            if evicts {
                try store.set("other", 1)
            } else {
                #expect(throws: StoreError.self) { try store.set("other", 1) }
            }
            #expect(store.count == 1)
            #expect(store.keys() == [evicts ? "other" : "key"])
            try store.removeAll()
            try store.set("third", 3)
            #expect(store.keys() == ["third"])
            #expect(try store.table.contradictions() == [])
        }
    }

    @Test func aLargeStoreOpensAtOnce() throws {
        let store = try store(1 << 20, 1 << 30)
        #expect(store.count == 0)
        try store.set("key", 1)
        #expect(store.keys(prefix: "k") == ["key"])
    }

    @Test func capacitiesWithoutSenseAreRefused() throws {
        let bad: [(StoreCapacity, String)] = [
            (StoreCapacity(entries: 0), "a capacity of 0 entries is not within 1...67108864"),
            (StoreCapacity(entries: 1 << 26 + 1), "a capacity of 67108865 entries is not within 1...67108864"),
            (StoreCapacity(bytes: 4095), "a capacity of 4095 bytes is not within 4096...8589934592"),
            (StoreCapacity(bytes: .max), "a capacity of \(Int.max) bytes is not within 4096...8589934592"),
            (StoreCapacity(publishLog: -1), "a publish log of -1 bytes is not within 0...1073741824"),
            (StoreCapacity(publishLog: .max), "a publish log of \(Int.max) bytes is not within 0...1073741824"),
        ]
        for (capacity, text) in bad {
            let error = #expect(throws: StoreError.self) { try SharedStore(capacity: capacity) }
            #expect(error.map { "\($0)" } == text)
            #expect(error?.code == .badArgument(text))
        }
        // An odd number of bytes is no reason to refuse.
        let odd = try store(3, 5_001)
        try odd.set("key", [UInt8](repeating: 1, count: 4_700))
    }

    @Test func statisticsSayWhatIsThere() throws {
        let store = try store(100, 1 << 20)
        #expect(
            store.stats
                == StoreStats(
                    entries: 0, entryLimit: 100, bytes: 0, byteLimit: 1 << 20, recoveries: 0, evictions: 0,
                    expirations: 0, refusals: 0, compactions: 0, damages: 0))
        // A value begins at a multiple of eight.
        try store.set("key", [UInt8](repeating: 1, count: 32))
        #expect(store.stats.bytes == 64)
        try store.set("key", [UInt8](repeating: 1, count: 33))
        #expect(store.stats.bytes == 128)
        #expect(store.stats.entries == 1)
        try store.delete("key")
        #expect(store.stats.bytes == 0)
    }
}
