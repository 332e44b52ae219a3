// Another process overwrites the memory: results or typed errors, never a trap, never an endless loop.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Synchronization
import Testing

@testable import PreforkStore

@Suite(.timeLimit(.minutes(2)))
struct DamageTests {
    /// What is written over, the words of locks included.
    enum Region: String, CaseIterable, Sendable {
        case stripes, counts, items, overflowMaps, buckets, ages, slabTable, blocks, log, ring, everything
    }

    private static func store(
        evicts: Bool, capacity: StoreCapacity = .init(entries: 300, bytes: 1 << 20, publishLog: 16 << 10)
    )
        throws -> SharedStore
    {
        let store = try SharedStore(
            capacity: capacity, whenFull: evicts ? .evictLeastRecentlyUsed : .refuse, lockTimeout: .milliseconds(50))
        var numbers = SplitMix64(seed: 5)
        for index in 0..<250 {
            try store.set("\(index)", numbers.bytes(numbers.below(index % 10 == 0 ? 20_000 : 600)))
        }
        for index in 0..<20 { try store.publish("news", "\(index)") }
        return store
    }

    private static func ranges(_ region: Region, _ table: StoreTable) -> [Range<Int>] {
        let layout = table.layout
        let stripes = (0..<layout.stripes).map {
            let start = table.stripeOffset($0)
            return start..<start + StoreLayout.stripeBytes
        }
        let log = layout.logOffset
        switch region {
        case .stripes: return stripes
        case .counts: return [layout.entryCountsOffset..<layout.itemsOffset]
        case .items: return [layout.itemsOffset..<layout.overflowMapsOffset]
        case .overflowMaps: return [layout.overflowMapsOffset..<layout.bucketsOffset]
        case .buckets: return [layout.bucketsOffset..<layout.agesOffset]
        case .ages: return [layout.agesOffset..<max(layout.agesOffset + 8, layout.slabTableOffset)]
        case .slabTable: return [layout.slabTableOffset..<layout.logOffset]
        case .blocks: return [layout.slabsOffset + StoreLayout.slabBytes..<layout.byteCount - 4096]
        case .log: return [log..<layout.logOffset + PublishLogLayout.ring]
        case .ring:
            return [
                layout.logOffset + PublishLogLayout.ring..<layout.logOffset + PublishLogLayout.ring + table.ringBytes
            ]
        case .everything: return stripes + [layout.entryCountsOffset..<layout.logOffset, log..<layout.byteCount - 4096]
        }
    }

    /// Random words, or words that look as if they could be right: small, negative, another place's.
    private static func damage(_ table: StoreTable, _ region: Region, _ numbers: inout SplitMix64, _ hits: Int) {
        let ranges = ranges(region, table)
        for _ in 0..<hits {
            let range = ranges[numbers.below(ranges.count)]
            let offset = range.lowerBound + numbers.below(range.count / 8) * 8
            let old = table.memory[offset]
            switch numbers.below(8) {
            case 0: table.memory[offset] = numbers.next()
            case 1: table.memory[offset] = UInt64(numbers.below(70))
            case 2: table.memory[offset] = 0 &- UInt64(numbers.below(70))
            case 3: table.memory[offset] = table.memory[range.lowerBound + numbers.below(range.count / 8) * 8]
            case 4: table.memory[offset] = old ^ 1 << UInt64(numbers.below(64))
            case 5: table.memory[offset] = 1 << 63 | UInt64(numbers.below(3))
            case 6: table.memory[offset] = old &+ UInt64(numbers.below(100_000)) &* 8
            default:
                (table.memory.base + offset).storeBytes(of: UInt8(truncatingIfNeeded: numbers.next()), as: UInt8.self)
            }
        }
    }

    /// Everything that can be asked for, whatever comes of it.
    private static func use(_ store: SharedStore, _ numbers: inout SplitMix64, _ times: Int) {
        var reader = try? PublishLogReader(store.table, channel: Array("news".utf8), resumingAs: Array("me".utf8))
        for _ in 0..<times {
            let key = "\(numbers.below(260))"
            switch numbers.below(18) {
            case 0, 1, 2: _ = try? store.stored(key)
            case 3, 4, 5: try? store.set(key, numbers.bytes(numbers.below(700)))
            case 6: try? store.set(key, numbers.bytes(numbers.below(20_000)), expires: .milliseconds(1))
            case 7: _ = try? store.delete(key)
            case 8: _ = try? store.increment(key)
            case 9: _ = try? store.compareAndSet(key, expecting: Int?.none, to: 1)
            case 10: _ = store.getAll(prefix: "1").count + store.keys().count
            case 11: _ = store.count + store.stats.bytes
            case 12: _ = try? store.get(several: [key, "1", "2", "3"])
            case 13:
                var step = AtomicStep()
                for _ in 0..<4 {
                    step.set("\(numbers.below(260))", to: StoredValue(numbers.bytes(numbers.below(3_000))))
                }
                step.require(key, is: numbers.below(2) == 0 ? nil : StoredValue(1))
                _ = try? store.perform(step)
            case 14: try? store.publish(["news", "other"][numbers.below(2)], numbers.bytes(numbers.below(500)))
            case 15: for _ in 0..<50 where reader?.next() == nil { break }
            case 16:
                _ = try? store.setLife(key, .seconds(1))
                _ = try? store.remainingLife(key)
            default: _ = try? store.removeExpired()
            }
        }
    }

    private static func recoverEverything(_ store: SharedStore) {
        for stripe in 0..<store.table.layout.stripes {
            store.table.sharedLock(stripe).demandRepair()
        }
        store.table.repair()
        // A lock's word that is nonsense takes a writer's time limit.
        for stripe in 0..<store.table.layout.stripes where !store.table.sharedLock(stripe).isFree {
            for _ in 0..<2 where (try? store.table.lock(stripe)) != nil { store.table.unlock(stripe) }
        }
    }

    /// No lock tells of them: refused writers find them.
    @Test(arguments: [UInt64.max, 1 << 40, 290]) func countsThatAreTooHighRefuseNobodyForGood(count: UInt64) async throws {
        let store = try SharedStore(capacity: .init(entries: 300, bytes: 1 << 20))
        for index in 0..<50 { try store.set("\(index)", "value") }
        let table = store.table
        for stripe in 0..<table.layout.stripes {
            table.memory[table.entryCountWord(stripe)] = count
            table.memory[table.unitCountWord(stripe)] = count << 20
        }
        try await eventually("a writer finds room") { (try? store.set("new", "value")) != nil }
        #expect(store.count == 51 && store.stats.damages > 0)
        #expect(try table.contradictions() == [])
    }

    /// Refused writers do not come to the damaged stripe, whose lock's word would wait for a writer of its own.
    @Test(arguments: [UInt64.max, 200]) func countsBehindADamagedLockRefuseNobodyForGood(count: UInt64) async throws {
        let store = try SharedStore(capacity: .init(entries: 300, bytes: 1 << 20))
        let table = store.table
        try #require(table.layout.stripes > 1)
        let key = Array("key".utf8)
        let own = key.withUnsafeBytes { table.hash($0).stripe(of: table.layout.stripes) }
        for stripe in 0..<table.layout.stripes where stripe != own {
            table.memory[table.entryCountWord(stripe)] = count
            table.memory[table.stripeOffset(stripe)] = 3 << 24 | 1
        }
        try await eventually("a writer of another stripe finds room") { (try? store.set("key", "value")) != nil }
        #expect(store.count == 1 && store.stats.damages > 0)
    }

    /// Their stripe's counts are right, and each look at another stripe finds nothing.
    @Test(arguments: [0, 1, 2, 3]) func bucketsThatAreTakenForUsedRefuseNobodyForGood(key: Int) async throws {
        let store = try SharedStore(capacity: .init(entries: 1000, bytes: 1 << 20))
        let table = store.table
        let layout = table.layout
        for stripe in 0..<layout.stripes {
            for index in 0..<(layout.overflowBuckets + 63) / 64 {
                table.memory[table.overflowMapWord(index, stripe)] = .max
            }
        }
        var refused = 0
        for number in 0..<1000 {
            do { try store.set("\(key) \(number)", "value") } catch { refused += 1 }
            try await eventually("there is room for key \(number)") {
                (try? store.set("\(key) \(number)", "value")) != nil
            }
        }
        #expect(refused > 0 && store.count == 1000)
        #expect(try table.contradictions() == [])
    }

    @Test func slabsOfNobodyAndAHintThatIsNoneRefuseNobodyForGood() async throws {
        let store = try SharedStore(capacity: .init(entries: 300, bytes: 1 << 20))
        let table = store.table
        for slab in 1..<table.layout.slabs { table.memory[table.slabRecord(slab)] = UInt64(slab) << 40 | 0xFFFF }
        table.memory[Header.slabHint] = .max
        try await eventually("a writer finds room") { (try? store.set("new", "value")) != nil }
        #expect(try store.get("new", as: String.self) == "value")
        #expect(store.stats.damages > 0)
    }

    @Test(arguments: Region.allCases, [false, true])
    func damageBeforeUseIsAResultOrATypedError(region: Region, evicts: Bool) throws {
        for round in 0..<number("PREFORK_TEST_ROUNDS", default: 2) {
            let seed = UInt64(round) &+ UInt64(number("PREFORK_TEST_SEED", default: 0))
            var numbers = SplitMix64(seed: seed)
            let store = try Self.store(evicts: evicts)
            Self.damage(store.table, region, &numbers, [50, 1, 2_000, 5][round % 4])
            Self.use(store, &numbers, 60)
            _ = try? store.table.contradictions()
            Self.recoverEverything(store)
            Self.use(store, &numbers, 60)
        }
    }

    @Test(arguments: Region.allCases) func damageDuringUseIsAResultOrATypedError(region: Region) async throws {
        let store = try Self.store(evicts: region == .ages)
        let threads = Threads(count: 3)
        for index in 0..<3 {
            try startThread {
                var numbers = SplitMix64(seed: UInt64(index))
                for _ in 0..<5 {
                    Self.use(store, &numbers, 60)
                    if index == 2 { Self.recoverEverything(store) }
                }
                threads.running.wrappingSubtract(1, ordering: .sequentiallyConsistent)
            }
        }
        var numbers = SplitMix64(seed: 99)
        try await eventually(within: .seconds(60), "all threads have come back from \(region)") {
            Self.damage(store.table, region, &numbers, 20)
            return threads.running.load(ordering: .sequentiallyConsistent) == 0
        }
    }

    @Test func recoveryCountsWhatIsLostAndTheStoreGoesOn() throws {
        let store = try Self.store(evicts: false)
        let layout = store.table.layout
        // References to blocks of other keys, lengths that are none.
        var hits = 0
        for stripe in 0..<layout.stripes {
            for number in 0..<store.table.slotsPerStripe {
                let slot = store.table.slot(number, stripe)
                guard !EntryReference(bits: store.table.memory[slot]).isEmpty, number % 3 == 0 else { continue }
                store.table.memory[slot] = store.table.memory[slot] &+ 1
                hits += 1
            }
        }
        Self.recoverEverything(store)
        #expect(hits > 0)
        #expect(store.stats.damages >= hits)
        #expect(store.stats.recoveries == layout.stripes)
        #expect(try store.table.contradictions() == [])
        let left = store.count
        #expect(left == 250 - hits || left < 250)
        for (key, value) in store.getAll() { #expect(try store.stored(key) == value) }
        for index in 0..<250 { try store.set("\(index)", index) }
        #expect(store.count == 250)
        #expect(try store.table.contradictions() == [])
    }

    @Test func afterAnyDamageRecoveryLeavesAWholeStore() throws {
        for region in [Region.stripes, .counts, .items, .overflowMaps, .buckets, .slabTable, .blocks] {
            for round in 0..<6 {
                var numbers = SplitMix64(seed: UInt64(round))
                let store = try Self.store(evicts: false)
                Self.damage(store.table, region, &numbers, 200)
                // Twice: a stripe can give back a slab that another one, recovered before, had lost.
                Self.recoverEverything(store)
                Self.recoverEverything(store)
                #expect(try store.table.contradictions() == [], "\(region), round \(round)")
            }
        }
    }

    /// Words that no process writes: without a process ID, of a kind that there is not.
    @Test(arguments: [1 << 40, 3 << 24 | 5, 1 << 26, .max] as [UInt64])
    func aLockThatIsNonsenseIsATypedErrorOnceAndIsThenRepaired(word: UInt64) throws {
        let store = try Self.store(evicts: false)
        let before = store.stats
        let stripes = store.table.layout.stripes
        for stripe in 0..<stripes {
            store.table.memory[store.table.stripeOffset(stripe)] = word
            #expect(throws: StoreError(.corrupt("a lock that no process has taken"))) { try store.table.lock(stripe) }
            try store.table.lock(stripe)
            store.table.unlock(stripe)
        }
        store.table.memory[store.table.layout.logOffset] = word
        #expect(throws: StoreError.self) { try store.publish("news", 1) }
        try store.publish("news", 1)
        #expect(store.stats.damages == before.damages + stripes + 1)
        #expect(store.stats.recoveries == before.recoveries + stripes + 1)
        #expect(store.count == 250)
        #expect(try store.table.contradictions() == [])
    }

    /// A process that is inside when its word is overwritten finds out at the end, and what it did is checked.
    @Test func aLockThatIsWrittenOverWhileItIsHeldIsRepairedAfterwards() throws {
        let store = try Self.store(evicts: false)
        for word in [0, 1 << 40, LockOwner.waiting] as [UInt64] {
            let before = store.stats
            try store.table.lock(0)
            store.table.memory[store.table.stripeOffset(0)] = word
            store.table.unlock(0)
            #expect(store.stats.damages == before.damages + 1)
            try store.table.lock(0)
            store.table.unlock(0)
            #expect(store.stats.recoveries == before.recoveries + 1)
        }
        #expect(try store.table.contradictions() == [])
    }

    /// Half a minute was spent when each stripe that a full store looked into had a repair that waited.
    @Test func waitsInRepairsAreBoundedAllTogether() throws {
        let store = try SharedStore(
            capacity: .init(entries: 512, bytes: 4 << 20), whenFull: .refuse, lockTimeout: .seconds(3))
        let table = store.table
        let last = table.layout.stripes - 1
        try #require(last >= 4)
        for index in 0..<512 { try store.set("\(index)", index) }
        try table.lock(last)
        defer { table.unlock(last) }
        for stripe in 0..<last {
            table.memory[table.stripeOffset(stripe) + Stripe.participants] = 1 << UInt64(last)
            if stripe > 0 { table.sharedLock(stripe).demandRepair() }
        }
        let key = (512..<5_000).map { "\($0)" }.first { key in
            Array(key.utf8).withUnsafeBytes { table.hash($0).stripe(of: last + 1) == 0 }
        }
        let start = ContinuousClock.now
        #expect(throws: StoreError.self) { try store.set(try #require(key), 1) }
        #expect(throws: StoreError.self) { try store.removeAll() }
        #expect(throws: StoreError.self) { try table.contradictions() }
        table.repair()
        #expect(ContinuousClock.now - start < .seconds(10))
    }

    @Test func aFileThatIsNoStoreIsATypedError() throws {
        func adopt(_ make: () throws -> MemoryFile) throws -> StoreError? {
            let file = try make()
            let bell = try Bell()
            let descriptors = StoreDescriptors(
                memory: dup(file.descriptor.number), bell: dup(bell.descriptor.number))
            return #expect(throws: StoreError.self) { try SharedStore(adopting: descriptors) }
        }
        #expect(try adopt { try MemoryFile(name: "test", byteCount: 100) }?.code == .notAStore("only 100 bytes"))
        #expect(try adopt { try MemoryFile(name: "test", byteCount: 10_000) }?.code == .notAStore("no magic word"))
        let headers: [(Int, UInt64)] = [
            (Header.version, 99), (Header.entries, 0), (Header.entries, .max), (Header.bytes, 1), (Header.bytes, .max),
            (Header.publishLog, .max), (Header.entries, 5_000),
        ]
        for (offset, value) in headers {
            let store = try SharedStore(capacity: StoreCapacity(entries: 100, bytes: 1 << 20))
            store.table.memory[offset] = value
            let descriptors = StoreDescriptors(
                memory: dup(store.descriptors.memory), bell: dup(store.descriptors.bell))
            #expect(throws: StoreError.self) { try SharedStore(adopting: descriptors) }
        }
    }
}

private final class Threads: Sendable {
    let running: Atomic<Int>
    init(count: Int) { running = Atomic(count) }
}
