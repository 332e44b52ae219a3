// The near cache: copies that are never older than they may be.

import PreforkBackendSuite
import PreforkStore
import PreforkTestSupport
import Synchronization
import Testing

@testable import PreforkChannels

@Suite(.timeLimit(.minutes(2))) struct NearCacheTests {
    let remote = MemoryBackend()
    let old = StoredValue("old")
    let new = StoredValue("new")

    /// A near cache keeps every promise of a store.
    @Test(arguments: StoreCheck.all) func isAStore(_ check: StoreCheck) async throws {
        try await check.run(NearCache(local: MemoryBackend(), remote: remote))
    }

    @Test func theSecondReadIsLocal() async throws {
        let cache = try await NearCache(local: MemoryBackend(), remote: remote, staleness: .seconds(1_000))
        _ = try await remote.store("k", old, expires: nil, if: .always)
        #expect(try await cache.load("k") == old)
        // Behind the caches' back: seen when the copy has aged.
        _ = try await remote.store("k", new, expires: nil, if: .always)
        #expect(try await cache.load("k") == old)
        #expect(cache.statistics.hits == 1 && cache.statistics.misses == 1)
    }

    @Test func aCopyIsNeverOlderThanItMayBe() async throws {
        let cache = try await NearCache(local: MemoryBackend(), remote: remote, staleness: .milliseconds(20))
        _ = try await remote.store("k", old, expires: nil, if: .always)
        #expect(try await cache.load("k") == old)
        _ = try await remote.store("k", new, expires: nil, if: .always)
        try await eventually("the copy has aged") { try await cache.load("k") == new }
    }

    @Test func aCopyExpiresWithItsKey() async throws {
        let local = MemoryBackend()
        let cache = try await NearCache(local: local, remote: remote, staleness: .seconds(2_000))
        _ = try await remote.store("k", old, expires: .seconds(1_000), if: .always)
        #expect(try await cache.load("k") == old)
        let life = try await local.remainingLife("near:k")
        #expect(life != nil && life! != nil && life!! <= .seconds(1_000))
    }

    @Test func whoeverChangesReadsTheNewValue() async throws {
        let cache = try await NearCache(local: MemoryBackend(), remote: remote)
        for round in 0..<100 {
            _ = try await cache.store("k", StoredValue(round), expires: nil, if: .always)
            #expect(try await cache.load("k") == StoredValue(round))
            #expect(try await cache.load("k") == StoredValue(round))
        }
        var step = AtomicStep()
        step.increment("k", by: 1)
        #expect(try await cache.perform(step))
        #expect(try await cache.load("k") == StoredValue(100))
        #expect(try await cache.remove("k"))
        #expect(try await cache.load("k") == nil)
    }

    @Test func aChangeTakesTheCopiesOfOthersAway() async throws {
        let (a, b) = (
            try await NearCache(local: MemoryBackend(), remote: remote),
            try await NearCache(local: MemoryBackend(), remote: remote)
        )
        _ = try await a.store("k", old, expires: nil, if: .always)
        #expect(try await b.load("k") == old)
        _ = try await a.store("k", new, expires: nil, if: .always)
        try await eventually("the message has come") { try await b.load("k") == new }
    }

    /// The value is read, then it changes and the message comes, then the reader goes on.
    @Test func aReadThatTheMessageOvertakesKeepsNoCopy() async throws {
        let slow = GatedBackend(remote)
        let writer = try await NearCache(local: MemoryBackend(), remote: remote)
        let reader = try await NearCache(local: MemoryBackend(), remote: slow)
        _ = try await remote.store("k", old, expires: nil, if: .always)
        slow.afterLoad.close()
        let read = Task { try await reader.load("k") }
        try await eventually("the old value is on its way") { slow.afterLoad.waitingCount == 1 }
        _ = try await writer.store("k", new, expires: nil, if: .always)
        try await eventually("the message has come") { reader.statistics.invalidations == 1 }
        slow.afterLoad.open()
        #expect(try await read.value == old)
        #expect(reader.statistics.discardedFills == 1)
        #expect(try await reader.load("k") == new)
    }

    /// The message comes while the copy is being made: after it was found to be in order, before it is there.
    @Test func aCopyThatTheMessageOvertakesGoesAgain() async throws {
        let local = GatedBackend()
        let writer = try await NearCache(local: MemoryBackend(), remote: remote)
        let reader = try await NearCache(local: local, remote: remote)
        _ = try await remote.store("k", old, expires: nil, if: .always)
        local.beforeStore.close()
        let read = Task { try await reader.load("k") }
        try await eventually("the copy is on its way") { local.beforeStore.waitingCount == 1 }
        _ = try await writer.store("k", new, expires: nil, if: .always)
        try await eventually("the message has come") { reader.statistics.invalidations == 1 }
        local.beforeStore.open()
        #expect(try await read.value == old)
        #expect(try await local.memory.count() == 0)
        #expect(try await reader.load("k") == new)
    }

    @Test func missedMessagesEmptyTheCopiesAndNothingElse() async throws {
        let local = MemoryBackend()
        let cache = try await NearCache(local: local, remote: remote, prefix: "é:")
        _ = try await local.store("others", old, expires: nil, if: .always)
        // The second starts with an accent that would merge with the prefix's last character.
        for key in ["k", "\u{301}x"] {
            _ = try await remote.store(key, old, expires: nil, if: .always)
            #expect(try await cache.load(key) == old)
        }
        #expect(try await local.count() == 3)
        remote.loseConnection()
        try await eventually("the copies are gone") { try await local.keys(prefix: "") == ["others"] }
        // What is no invalidation could have been one.
        #expect(try await cache.load("k") == old)
        try await remote.publish("near-cache", StoredValue("?"))
        try await eventually("the copies are gone") { try await local.keys(prefix: "") == ["others"] }
    }

    @Test func aChangeWhoseAnswerIsLostTakesTheCopiesAway() async throws {
        let spoiled = GatedBackend(remote)
        let (writer, reader) = (
            try await NearCache(local: MemoryBackend(), remote: spoiled),
            try await NearCache(local: MemoryBackend(), remote: remote)
        )
        _ = try await remote.store("k", StoredValue(1), expires: nil, if: .always)
        #expect(try await writer.load("k") == StoredValue(1))
        #expect(try await reader.load("k") == StoredValue(1))
        spoiled.isSpoiled.withLock { $0 = true }
        await #expect(throws: Spoiled.self) { try await writer.increment("k", by: 1) }
        spoiled.isSpoiled.withLock { $0 = false }
        #expect(try await writer.load("k") == StoredValue(2))
        try await eventually("the message has come") { try await reader.load("k") == StoredValue(2) }
    }

    @Test func aLocalStoreThatFailsMakesNothingWrong() async throws {
        let local = GatedBackend()
        local.isSpoiled.withLock { $0 = true }
        let cache = try await NearCache(local: local, remote: remote)
        for round in 0..<3 {
            _ = try await cache.store("k", StoredValue(round), expires: nil, if: .always)
            #expect(try await cache.load("k") == StoredValue(round))
        }
        #expect(cache.statistics.hits == 0)
        #expect(cache.statistics.localFailures > 0)
    }

    @Test func withoutMessagesThereAreNoCopies() async throws {
        let local = MemoryBackend()
        let cache = try await NearCache(local: local, remote: remote)
        _ = try await remote.store("k", old, expires: nil, if: .always)
        #expect(try await cache.load("k") == old)
        await cache.close()
        #expect(try await local.count() == 0)
        _ = try await remote.store("k", new, expires: nil, if: .always)
        #expect(try await cache.load("k") == new)
        #expect(try await local.count() == 0)
    }

    @Test func invalidationsOfAnyKeysComeThrough() {
        for keys in [[], ["k"], ["", "a\0b", "é🙂", String(repeating: "x", count: 70_000)]] {
            #expect(Invalidation(Invalidation(of: keys).message)?.keys == keys)
        }
        for bytes: [UInt8] in [[1], [1, 0, 0, 0], [255, 255, 255, 255, 0], [1, 0, 0, 0, 0xFF], [0, 0, 0, 0, 1]] {
            #expect(Invalidation(StoredValue(bytes)) == nil)
        }
        #expect(Invalidation(StoredValue("k")) == nil)
    }
}
