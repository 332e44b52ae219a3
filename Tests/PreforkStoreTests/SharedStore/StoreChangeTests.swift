// Changes that depend on what is there, and values that live for a while.

import PreforkTestSupport
import Testing

@testable import PreforkStore

@Suite(.timeLimit(.minutes(2)))
struct StoreChangeTests {
    private let store: SharedStore

    init() throws {
        store = try SharedStore(capacity: StoreCapacity(entries: 100, bytes: 1 << 20))
    }

    @Test func incrementsCountFromNothing() throws {
        #expect(try store.increment("n") == 1)
        #expect(try store.increment("n", by: -5) == -4)
        #expect(try store.increment("n", by: 0) == -4)
        #expect(try store.get("n") == -4)
        #expect(try store.increment("zero", by: 0) == 0)
        #expect(try store.contains("zero"))
        try store.set("small", UInt8(7))
        #expect(try store.increment("small", by: 1_000) == 1_007)
    }

    @Test func anIncrementThatCannotBeLeavesTheValue() throws {
        try store.set("n", Int64.max - 1)
        #expect(try store.increment("n") == .max)
        #expect(throws: StoreError(.overflow, key: "n")) { try store.increment("n") }
        #expect(try store.get("n") == Int64.max)
        #expect("\(StoreError(.overflow, key: "n"))" == "n: the sum does not fit into an Int64")
        try store.set("low", Int64.min)
        #expect(throws: StoreError(.overflow, key: "low")) { try store.increment("low", by: .min) }
        for (key, kind) in [("text", ValueKind.string), ("real", .double), ("unsigned", .unsigned), ("large", .bytes)] {
            try store.set("text", "5")
            try store.set("real", 5.0)
            try store.set("unsigned", UInt64.max)
            try store.set("large", [UInt8](repeating: 1, count: 50_000))
            let before = try store.stored(key)
            let expected = StoreError(.mismatch(ValueMismatch(stored: kind, asked: "integer")), key: key)
            #expect(throws: expected) { try store.increment(key) }
            #expect(try store.stored(key) == before)
        }
        #expect(try store.table.contradictions() == [])
    }

    @Test func anIntegerThatIsNoneIsAMismatch() throws {
        try store.set("n", stored: StoredValue(kind: .integer, bytes: [1, 2, 3]))
        #expect(throws: StoreError.self) { try store.increment("n") }
        #expect(throws: StoreError.self) { try store.get("n", as: Int.self) }
    }

    @Test func compareAndSetComparesKindAndBytes() throws {
        #expect(try store.compareAndSet("key", expecting: Int?.none, to: 1))
        #expect(try !store.compareAndSet("key", expecting: Int?.none, to: 2))
        #expect(try !store.compareAndSet("key", expecting: 2, to: 3))
        #expect(try !store.compareAndSet("key", expecting: "1", to: "3"))
        #expect(try store.get("key") == 1)
        #expect(try store.compareAndSet("key", expecting: 1, to: 2))
        #expect(try store.compareAndSet("key", expecting: UInt8(2), to: 3))
        #expect(try store.compareAndSet("key", expecting: 3, to: nil))
        #expect(try !store.contains("key"))
        #expect(try !store.compareAndSet("key", expecting: 3, to: nil))
        #expect(try store.compareAndSet("key", expecting: Int?.none, to: nil))
        #expect(try !store.contains("key"))
        #expect(store.count == 0)
    }

    @Test func compareAndSetKnowsLargeAndCodedValues() throws {
        let large = [UInt8](repeating: 3, count: 100_000)
        var nearly = large
        nearly[99_999] = 4
        try store.set("key", large)
        #expect(try !store.compareAndSet("key", expecting: nearly, to: []))
        #expect(try store.compareAndSet("key", expecting: large, to: nearly))
        #expect(try store.get("key") == nearly)
        try store.set("point", Point(x: 1, name: "a"))
        #expect(try !store.compareAndSet("point", expecting: Point(x: 1), to: Point(x: 2)))
        #expect(try store.compareAndSet("point", expecting: Point(x: 1, name: "a"), to: Point(x: 2)))
        #expect(try store.get("point") == Point(x: 2))
    }

    @Test func addingIsForNewKeysAndReplacingForOldOnes() throws {
        #expect(try !store.replace("key", 1))
        #expect(try !store.contains("key"))
        #expect(try store.add("key", 2))
        #expect(try !store.add("key", 3))
        #expect(try store.get("key") == 2)
        #expect(try store.replace("key", "text"))
        #expect(try store.get("key") == "text")
        #expect(try store.add("point", Point(x: 1)))
        #expect(try !store.add("point", Point(x: 2)))
        #expect(try store.replace("point", Point(x: 3)))
        #expect(try store.get("point") == Point(x: 3))
    }

    @Test func anExpiredKeyIsGoneForEveryOperation() async throws {
        let keys = ["get", "add", "replace", "cas", "increment", "delete", "life", "step", "set"]
        for key in keys { try store.set(key, 1, expires: .milliseconds(5)) }
        try store.set("stays", 1)
        try await eventually("all have expired") { self.store.count == 1 }
        #expect(store.keys() == ["stays"])
        #expect(store.getAll().count == 1)
        #expect(try store.get(several: keys).isEmpty)
        #expect(try store.get("get", as: Int.self) == nil)
        #expect(try !store.contains("get"))
        #expect(try store.remainingLife("get") == Duration??.none)
        #expect(try store.add("add", 2))
        #expect(try !store.replace("replace", 2))
        #expect(try !store.compareAndSet("cas", expecting: 1, to: 2))
        #expect(try store.compareAndSet("cas", expecting: Int?.none, to: 3))
        #expect(try store.increment("increment") == 1)
        #expect(try store.remainingLife("increment") == .some(nil))
        #expect(try !store.delete("delete"))
        #expect(try !store.setLife("life", nil))
        var step = AtomicStep()
        step.require("step", is: nil)
        step.increment("step", by: 5)
        #expect(try store.perform(step))
        #expect(try store.get("step") == 5)
        try store.set("set", 2)
        #expect(store.count == 6)
        #expect(try store.table.contradictions() == [])
    }

    @Test func expiredEntriesAreRemovedWhenAskedAndCounted() async throws {
        for index in 0..<50 {
            try store.set("\(index)", [UInt8](repeating: 0, count: 3_000), expires: .milliseconds(1))
        }
        try store.set("stays", 1)
        try await eventually("all have expired") { self.store.count == 1 }
        // Storing with an expiry sweeps a little, too.
        try store.removeExpired()
        #expect(try store.removeExpired() == 0)
        #expect(store.stats.expirations == 50)
        #expect(store.stats.entries == 1)
        #expect(try store.table.contradictions() == [])
    }

    @Test func aLifeCanBeAskedForAndChanged() async throws {
        try store.set("key", 1, expires: .seconds(1_000))
        let lives = try #require(try store.remainingLife("key"))
        let life = try #require(lives)
        #expect(life > .seconds(500) && life <= .seconds(1_000))
        #expect(try store.setLife("key", nil))
        #expect(try store.remainingLife("key") == .some(nil))
        #expect(try store.setLife("key", .milliseconds(1)))
        try await eventually("it has expired") { try !self.store.contains("key") }
        #expect(try !store.setLife("key", .seconds(1)))
        #expect(try store.table.contradictions() == [])
    }

    @Test func whoKeepsAnExpiryAndWhoDoesNot() throws {
        try store.set("n", 1, expires: .seconds(1_000))
        try store.increment("n")
        #expect(try store.remainingLife("n")! != nil)
        var step = AtomicStep()
        step.increment("n")
        #expect(try store.perform(step))
        #expect(try store.remainingLife("n")! != nil)
        #expect(try store.compareAndSet("n", expecting: 3, to: 4))
        #expect(try store.remainingLife("n")! == nil)
        try store.set("n", 1, expires: .seconds(1_000))
        try store.set("n", 1)
        #expect(try store.remainingLife("n")! == nil)
        #expect(try store.table.contradictions() == [])
    }

    @Test func anExpiryIsAboveZeroAndMayBeAbsurd() throws {
        let expected = StoreError(.badArgument("an expiry of 0.0 seconds is not above zero"))
        #expect(throws: expected) { try store.set("key", 1, expires: .zero) }
        #expect("\(expected)" == "an expiry of 0.0 seconds is not above zero")
        #expect(throws: StoreError.self) { try store.setLife("key", .seconds(-1)) }
        #expect(throws: StoreError.self) { try store.add("key", 1, expires: .seconds(-1)) }
        #expect(throws: StoreError.self) { try store.compareAndSet("key", expecting: nil, to: 1, expires: .zero) }
        var step = AtomicStep()
        step.set("other", 1)
        step.set("key", 1, expires: .zero)
        #expect(throws: StoreError.self) { try store.perform(step) }
        #expect(store.count == 0)
        try store.set("key", 1, expires: .seconds(Int64.max))
        #expect(try store.get("key") == 1)
        try store.set("key", 1, expires: Duration(secondsComponent: 0, attosecondsComponent: 1))
        #expect(try store.table.contradictions() == [])
    }
}
