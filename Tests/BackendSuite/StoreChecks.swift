// What every store must do, whatever is behind it: each sentence of `StoreBackend`.

public import PreforkChannels
import PreforkStore
import PreforkTestSupport
public import Testing

/// One promise of `StoreBackend`. Give each check an empty store of its own.
///
/// ```swift
/// @Test(arguments: StoreCheck.all) func keeps(_ check: StoreCheck) async throws { try await check.run(emptyStore()) }
/// ```
public struct StoreCheck: Sendable, CustomTestStringConvertible {
    public let testDescription: String
    public let run: @Sendable (any StoreBackend) async throws -> Void

    init(_ name: String, _ run: @escaping @Sendable (any StoreBackend) async throws -> Void) {
        testDescription = name
        self.run = run
    }

    public static let all: [StoreCheck] = [
        StoreCheck("a missing key is nothing, everywhere") { try await checkMissingKeys($0) },
        StoreCheck("values of every kind come back as they were") { try await checkValues($0) },
        StoreCheck("keys of every kind are told apart") { try await checkKeys($0) },
        StoreCheck("a condition decides whether a value is stored") { try await checkConditions($0) },
        StoreCheck("what has expired is not there") { try await checkExpiry($0) },
        StoreCheck("a life span can be asked and changed") { try await checkLifeSpans($0) },
        StoreCheck("an increment adds, or changes nothing") { try await checkIncrements($0) },
        StoreCheck("compare-and-set replaces what is expected only") { try await checkCompareAndSet($0) },
        StoreCheck("a step happens as a whole") { try await checkSteps($0) },
        StoreCheck("a step that must not happen changes nothing") { try await checkRefusedSteps($0) },
        StoreCheck("a step that is none is refused") { try await checkBadSteps($0) },
        StoreCheck("sums in steps are exact at the ends of Int64") { try await checkSumsInSteps($0) },
        StoreCheck("several keys are read at one moment") { try await checkOneMoment($0) },
        StoreCheck("keys, all and count know prefixes") { try await checkScans($0) },
        StoreCheck("concurrent changes are never lost") { try await checkConcurrency($0) },
        StoreCheck("random operations agree with a dictionary") { try await checkRandomOperations($0) },
    ]
}

public func checkMissingKeys(_ store: some StoreBackend) async throws {
    #expect(try await store.load("k") == nil)
    #expect(try await store.load(["k", "l"]) == [:])
    #expect(try await store.load([]) == [:])
    #expect(try await store.remove("k") == false)
    let life = try await store.remainingLife("k")
    #expect(life == nil)
    #expect(try await store.setLife("k", .seconds(1)) == false)
    #expect(try await store.setLife("k", nil) == false)
    #expect(try await store.keys(prefix: "") == [])
    #expect(try await store.all(prefix: "") == [:])
    #expect(try await store.count() == 0)
}

public func checkValues(_ store: some StoreBackend) async throws {
    for (index, value) in valuesOfEveryKind.enumerated() {
        #expect(try await store.store("v\(index)", value, expires: nil, if: .always))
        #expect(try await store.load("v\(index)") == value)
    }
    let wanted = Dictionary(uniqueKeysWithValues: valuesOfEveryKind.enumerated().map { ("v\($0)", $1) })
    #expect(try await store.load(Array(wanted.keys) + ["v0", "missing"]) == wanted)
    #expect(try await store.all(prefix: "v") == wanted)
    // Each replaces another of another kind.
    for (index, value) in valuesOfEveryKind.reversed().enumerated() {
        #expect(try await store.store("v\(index)", value, expires: nil, if: .ifPresent))
        #expect(try await store.load("v\(index)") == value)
    }
}

public func checkKeys(_ store: some StoreBackend) async throws {
    let keys = [
        "k", "K", " ", "a b", "a*", "a?", "a[b]", "[^a]", "a\\", "\"", "'", "\n", "\0", "a\0b", "é", "🙂", "{x}y", "-",
        "0",
    ]
    for (index, key) in keys.enumerated() {
        #expect(try await store.store(key, StoredValue(index), expires: nil, if: .ifAbsent), "\(key)")
    }
    for (index, key) in keys.enumerated() { #expect(try await store.load(key) == StoredValue(index), "\(key)") }
    #expect(try await Set(store.keys(prefix: "")) == Set(keys))
    for key in keys { #expect(try await store.keys(prefix: key).contains(key), "\(key)") }
    #expect(try await store.keys(prefix: "a*") == ["a*"])
    #expect(try await store.keys(prefix: "[^a]") == ["[^a]"])
    #expect(try await store.keys(prefix: "a\\") == ["a\\"])
    await expectStoreError({ if case .badKey(0, _) = $0 { true } else { false } }) { _ = try await store.load("") }
    await expectStoreError({ if case .badKey = $0 { true } else { false } }) {
        _ = try await store.store(
            String(repeating: "k", count: 1 << 20), StoredValue(1), expires: nil, if: .always)
    }
}

public func checkConditions(_ store: some StoreBackend) async throws {
    #expect(try await store.store("k", StoredValue("one"), expires: nil, if: .ifPresent) == false)
    #expect(try await store.load("k") == nil)
    #expect(try await store.store("k", StoredValue("two"), expires: nil, if: .ifAbsent))
    #expect(try await store.store("k", StoredValue("three"), expires: nil, if: .ifAbsent) == false)
    #expect(try await store.load("k") == StoredValue("two"))
    #expect(try await store.store("k", StoredValue("four"), expires: nil, if: .ifPresent))
    #expect(try await store.load("k") == StoredValue("four"))
    #expect(try await store.remove("k"))
    #expect(try await store.remove("k") == false)
    #expect(try await store.store("k", StoredValue("five"), expires: nil, if: .always))
    #expect(try await store.load("k") == StoredValue("five"))
}

public func checkExpiry(_ store: some StoreBackend) async throws {
    #expect(try await store.store("k", StoredValue(1), expires: .milliseconds(20), if: .always))
    #expect(try await store.store("stays", StoredValue(1), expires: .seconds(1_000), if: .always))
    try await eventually("k has expired") { try await store.load("k") == nil }
    #expect(try await store.load(["k", "stays"]) == ["stays": StoredValue(1)])
    #expect(try await store.keys(prefix: "") == ["stays"])
    #expect(try await store.all(prefix: "") == ["stays": StoredValue(1)])
    #expect(try await store.count() == 1)
    let life = try await store.remainingLife("k")
    #expect(life == nil)
    #expect(try await store.remove("k") == false)
    #expect(try await store.setLife("k", .seconds(1)) == false)
    #expect(try await store.store("k", StoredValue(2), expires: nil, if: .ifPresent) == false)
    #expect(try await store.store("k", StoredValue(2), expires: nil, if: .ifAbsent))
    // A new value has a life of its own: none.
    #expect(try await store.store("stays", StoredValue(2), expires: nil, if: .always))
    #expect(try await store.remainingLife("stays") == .some(nil))
    // However short, it is no error, and an expired integer counts as 0.
    #expect(try await store.store("n", StoredValue(41), expires: .nanoseconds(1), if: .always))
    try await eventually("n has expired") { try await store.load("n") == nil }
    #expect(try await store.increment("n", by: 1) == 1)
    #expect(try await store.remainingLife("n") == .some(nil))
    for bad in [Duration.zero, .seconds(-1)] {
        await expectStoreError({ if case .badArgument = $0 { true } else { false } }) {
            _ = try await store.store("k", StoredValue(3), expires: bad, if: .always)
        }
        await expectStoreError({ if case .badArgument = $0 { true } else { false } }) {
            _ = try await store.setLife("k", bad)
        }
    }
    #expect(try await store.load("k") == StoredValue(2))
}

public func checkLifeSpans(_ store: some StoreBackend) async throws {
    #expect(try await store.store("k", StoredValue(1), expires: nil, if: .always))
    #expect(try await store.remainingLife("k") == .some(nil))
    #expect(try await store.setLife("k", .seconds(1_000)))
    let life = try await store.remainingLife("k")
    #expect(life != nil && life! != nil && life!! > .seconds(900) && life!! <= .seconds(1_000))
    #expect(try await store.setLife("k", nil))
    #expect(try await store.remainingLife("k") == .some(nil))
    #expect(try await store.setLife("k", nil))
    #expect(try await store.load("k") == StoredValue(1))
    #expect(try await store.setLife("k", .milliseconds(5)))
    try await eventually("k has expired") { try await store.load("k") == nil }
}

public func checkIncrements(_ store: some StoreBackend) async throws {
    #expect(try await store.increment("n", by: 5) == 5)
    #expect(try await store.increment("n", by: -7) == -2)
    #expect(try await store.load("n") == StoredValue(-2))
    #expect(try await store.increment("zero", by: 0) == 0)
    #expect(try await store.load("zero") == StoredValue(0))
    #expect(try await store.increment("least", by: .min) == .min)
    #expect(try await store.store("most", StoredValue(Int64.max - 1), expires: .seconds(1_000), if: .always))
    #expect(try await store.increment("most", by: 1) == .max)
    for (key, amount) in [("most", Int64(1)), ("most", .max), ("least", -1), ("least", .min)] {
        await expectStoreError({ $0 == .overflow }) { _ = try await store.increment(key, by: amount) }
    }
    #expect(
        try await store.load(["most", "least"]) == ["most": StoredValue(Int64.max), "least": StoredValue(Int64.min)])
    // Its expiry stays.
    let life = try await store.remainingLife("most")
    #expect(life != nil && life! != nil)
    for value in valuesOfEveryKind where value.kind != .integer {
        #expect(try await store.store("other", value, expires: nil, if: .always))
        await expectStoreError({ if case .mismatch(let mismatch) = $0 { mismatch.stored == value.kind } else { false } }
        ) {
            _ = try await store.increment("other", by: 1)
        }
        #expect(try await store.load("other") == value)
    }
}

public func checkCompareAndSet(_ store: some StoreBackend) async throws {
    let (one, two) = (StoredValue("one"), StoredValue("two"))
    #expect(try await store.compareAndSet("k", expecting: nil, to: nil))
    #expect(try await store.compareAndSet("k", expecting: one, to: two) == false)
    #expect(try await store.compareAndSet("k", expecting: one, to: nil) == false)
    #expect(try await store.load("k") == nil)
    #expect(try await store.compareAndSet("k", expecting: nil, to: one))
    #expect(try await store.compareAndSet("k", expecting: nil, to: two) == false)
    #expect(try await store.compareAndSet("k", expecting: nil, to: nil) == false)
    #expect(try await store.compareAndSet("k", expecting: two, to: nil) == false)
    #expect(try await store.compareAndSet("k", expecting: StoredValue(Array("one".utf8)), to: two) == false)
    #expect(try await store.load("k") == one)
    #expect(try await store.setLife("k", .seconds(1_000)))
    #expect(try await store.compareAndSet("k", expecting: one, to: two))
    #expect(try await store.load("k") == two)
    #expect(try await store.remainingLife("k") == .some(nil))
    #expect(try await store.compareAndSet("k", expecting: two, to: nil))
    #expect(try await store.load("k") == nil)
    for value in valuesOfEveryKind {
        #expect(try await store.store("v", value, expires: nil, if: .always))
        #expect(try await store.compareAndSet("v", expecting: value, to: one))
        #expect(try await store.compareAndSet("v", expecting: one, to: value))
        #expect(try await store.compareAndSet("v", expecting: value, to: value))
        #expect(try await store.load("v") == value)
    }
}
