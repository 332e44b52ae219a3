// The short ways of get, set and increment: they do what the long ones do, for every length and place.

import PreforkSystem
import Testing

@testable import PreforkStore

@Suite(.timeLimit(.minutes(2))) struct QuickPathTests {
    /// A string of up to 15 bytes that is not in one piece with its bytes, as most of that length are.
    private func onTheHeap(_ key: String) -> String {
        var string = ""
        string.reserveCapacity(64)
        string += key
        return string
    }

    private func copied(_ store: SharedStore, _ key: String) throws -> [UInt8]? {
        var count: Int?
        let bytes = try [UInt8](unsafeUninitializedCapacity: 512) { buffer, initialized in
            count = try store.get(key, into: UnsafeMutableRawBufferPointer(buffer))
            initialized = count ?? 0
        }
        return count == nil ? nil : bytes
    }

    @Test func everyLengthOfKeyAndValueComesBack() throws {
        let store = try SharedStore(capacity: .init(entries: 10_000, bytes: 8 << 20))
        for keyBytes in 1...40 {
            let key = String(repeating: "k", count: keyBytes - 1) + "e"
            for valueBytes in Array(0...72) + [100, 127, 128, 400] {
                // The first is new or of another length, the others take its place.
                for round in UInt8(0)..<3 {
                    let value = (0..<valueBytes).map { UInt8(truncatingIfNeeded: $0) &+ round }
                    try store.set(round == 1 ? onTheHeap(key) : key, value)
                    #expect(try copied(store, key) == value)
                    #expect(try copied(store, onTheHeap(key)) == value)
                    #expect(try store.get(key) == value)
                }
            }
            try store.set(key, 1)
            #expect(try store.increment(key, by: 5) == 6)
            #expect(try store.increment(onTheHeap(key), by: -7) == -1)
            #expect(try store.get(key) == -1)
        }
        #expect(store.count == 40)
        #expect(store.stats.damages == 0)
    }

    @Test func everyLengthOfTextComesBack() throws {
        let store = try SharedStore(capacity: .init(entries: 1_000, bytes: 8 << 20))
        for keyBytes in [3, 8, 12, 15, 16, 40] {
            let key = String(repeating: "k", count: keyBytes)
            for bytes in Array(0...72) + [1_000, 2_000, 5_000] {
                for letter in ["a", "é", "🙂"] {
                    let text = String(repeating: letter, count: bytes / letter.utf8.count)
                    try store.set(key, text)
                    #expect(try store.get(key) == text)
                    #expect(try store.get(onTheHeap(key), as: String.self) == text)
                    #expect(try store.withValue(key) { $0.byteCount } == text.utf8.count)
                }
            }
        }
        #expect(try store.withValue("none") { $0.byteCount } == nil)
        #expect(throws: StoreError.self) { try store.withValue("") { $0.byteCount } }
        #expect(store.stats.damages == 0)
    }

    /// Another process can store any bytes as a text.
    @Test func aTextIsCheckedInItsOwnMemory() throws {
        let store = try SharedStore()
        for count in [3, 15, 16, 40, 3_000] {
            let bytes = [0x61, 0xFF, 0xC3] + [UInt8](repeating: 0x80, count: count - 3)
            try store.set("text of a key", stored: StoredValue(kind: .string, bytes: bytes))
            #expect(try store.get("text of a key") == String(decoding: bytes, as: UTF8.self))
        }
    }

    @Test func aNumberThatChangesInItsPlaceIsSeenToChange() throws {
        let store = try SharedStore()
        let key = Array("counter:1".utf8)
        try store.set("counter:1", 1)
        let first = store.table.observe(key)
        #expect(first.isSame(as: store.table.observe(key)))
        try store.increment("counter:1")
        let second = store.table.observe(key)
        #expect(second.value == StoredValue(2) && !second.isSame(as: first))
        // The same value once more is another change.
        try store.increment("counter:1")
        try store.increment("counter:1", by: -1)
        let third = store.table.observe(key)
        #expect(third.value == second.value && !third.isSame(as: second))
        #expect(try store.get(several: ["counter:1"]) == ["counter:1": StoredValue(2)])
        #expect(store.getAll() == ["counter:1": StoredValue(2)])
        // So many changes do not overflow into the lengths.
        for _ in 0..<600_000 { try store.increment("counter:1") }
        #expect(try store.get("counter:1") == 600_002)
        #expect(try store.table.contradictions().isEmpty)
    }

    @Test func aBufferThatIsTooSmallIsNotWritten() throws {
        let store = try SharedStore()
        try store.set("twelve bytes", [UInt8](repeating: 7, count: 32))
        var bytes = [UInt8](repeating: 0, count: 31)
        #expect(throws: StoreError(.valueTooLarge(bytes: 32, limit: 31), key: "twelve bytes")) {
            try bytes.withUnsafeMutableBytes { try store.get("twelve bytes", into: $0) }
        }
        #expect(bytes == [UInt8](repeating: 0, count: 31))
    }

    /// An entry is found by either form, and stays where it is when a program of another version opens the store.
    @Test func aShortKeyHasTheHashOfItsBytes() throws {
        let secrets = KeyHash.Secrets.random
        for count in 0...40 {
            let key = String("the quick brown fox jumps over the lazy dog".prefix(count))
            let short = ShortKey(key)
            #expect((short != nil) == (8...15).contains(count))
            guard let short else { continue }
            try withUnsafeTemporaryAllocation(byteCount: 16, alignment: 8) { memory in
                let start = try #require(memory.baseAddress)
                short.copy(to: start)
                let bytes = Array(memory.prefix(count))
                #expect(bytes == Array(key.utf8))
                #expect(bytes.withUnsafeBytes { KeyHash($0, secrets) }.bits == short.hash(secrets).bits)
                #expect(short.isAt(start))
                for index in 0..<count {
                    memory[index] ^= 1
                    #expect(!short.isAt(start))
                    memory[index] ^= 1
                }
            }
        }
    }

    @Test func versionsOverflowIntoNothingElse() {
        for version: UInt64 in [0, 1, 0x7FF_FFFE, 0x7FF_FFFF] {
            for fingerprint: UInt64 in [0, 0x80, 0xFF] {
                let reference = EntryReference(bits: fingerprint << 56 | version << 28 | 77)
                let next = reference.successor(sameKeyIn: 0xFFF_FFFF)
                #expect(next == reference.successor(block: 0xFFF_FFFF, fingerprint: fingerprint))
            }
        }
    }

    /// Chains of several buckets, and fingerprints that several entries have.
    @Test func everyEntryIsFoundWhereverItLies() throws {
        for _ in 0..<4 {
            let store = try SharedStore(capacity: .init(entries: 4_000, bytes: 4 << 20))
            let keys = (0..<4_000).map { "key:\($0 + 10_000_000)" }
            for key in keys { try store.set(key, [UInt8](key.utf8)) }
            withUnsafeTemporaryAllocation(byteCount: 64, alignment: 8) { buffer in
                for key in keys {
                    let found = ShortKey(key).flatMap { store.table.quickCopy($0, to: buffer.baseAddress!, room: 64) }
                    #expect(found?.valueBytes == 12)
                    #expect(buffer.prefix(12).elementsEqual(key.utf8))
                    let long = Array(key.utf8).withUnsafeBytes {
                        store.table.quickCopy($0, to: buffer.baseAddress!, room: 64)
                    }
                    #expect(long?.valueBytes == 12)
                }
            }
        }
    }

    @Test func aLifeStays() throws {
        let store = try SharedStore()
        try store.set("counter:1", 1)
        #expect(try store.setLife("counter:1", .seconds(1_000)))
        #expect(try store.increment("counter:1") == 2)
        #expect(try store.remainingLife("counter:1") != .some(nil))
        try store.set("counter:1", 1)
        #expect(try store.remainingLife("counter:1") == .some(nil))
    }

    @Test func anEvictingStoreKeepsWhatIsUsed() throws {
        let store = try SharedStore(capacity: .init(entries: 64, bytes: 1 << 20), whenFull: .evictLeastRecentlyUsed)
        try store.set("used:by:set", 1)
        try store.set("used:by:get", 1)
        try withUnsafeTemporaryAllocation(byteCount: 64, alignment: 8) { buffer in
            for index in 0..<1_000 {
                try store.set("filler:\(index + 1_000)", 1)
                try store.increment("used:by:set")
                #expect(try store.get("used:by:get", into: buffer) == 8)
            }
        }
        #expect(try store.get("used:by:set") == 1_001)
        #expect(store.stats.evictions > 900)
    }

    @Test func aWriterWakesWhoSleptBeforeItTookItsLock() throws {
        let store = try SharedStore()
        let table = store.table
        try store.set("counter:1", 1)
        try store.set("a value", "of one")
        let wish = table.sleepWish(forKey: Array("counter:1".utf8))
        #expect(table.prepareToSleep(wish))
        #expect(table.memory[Header.sleepers] == wish.bit)
        #expect(ShortKey("counter:1").flatMap { table.quickIncrement($0, by: 1) } == nil)
        #expect(table.memory[Header.sleepers] == wish.bit)
        #expect(try store.increment("counter:1") == 2)
        #expect(table.memory[Header.sleepers] == 0)
        #expect(ShortKey("counter:1").flatMap { table.quickIncrement($0, by: 1) } == 3)
    }

    @Test func whoWouldSleepBesideAWriterSleepsBriefly() throws {
        let store = try SharedStore()
        let table = store.table
        let wish = table.sleepWish(forKey: Array("counter:1".utf8))
        let stripe = try #require(wish.stripe)
        try table.lock(stripe)
        #expect(!table.prepareToSleep(wish))
        table.unlock(stripe)
        #expect(table.prepareToSleep(wish))
    }

    @Test func aLockThatWasWrittenOverIsDamageForItsOwner() throws {
        let store = try SharedStore()
        let lock = store.table.quickLock(0)
        try store.table.lock(0)
        #expect(lock.unlockWithoutBarrier())
        #expect(lock.shared.isFree)
        try store.table.lock(0)
        store.table.memory[store.table.stripeOffset(0)] = 0x1234_5678
        #expect(!lock.unlockWithoutBarrier())
        store.table.repair()
        #expect(lock.shared.isFree)
        // A waiter that said so is woken: the exchange comes after all.
        try store.table.lock(0)
        store.table.memory[store.table.stripeOffset(0)] |= 1 << 22
        #expect(lock.unlockWithoutBarrier())
        #expect(lock.shared.isFree)
    }
}
