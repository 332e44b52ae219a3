// What every store must do with several keys in one step.

public import PreforkChannels
import PreforkStore
import PreforkSystem
import PreforkTestSupport
import Testing

public func checkSteps(_ store: some StoreBackend) async throws {
    #expect(try await store.store("owner", StoredValue("alice"), expires: nil, if: .always))
    #expect(try await store.store("alice", StoredValue(100), expires: .seconds(1_000), if: .always))
    var step = AtomicStep()
    step.increment("alice", by: -10)
    step.increment("bob", by: 10)
    step.set("note", "paid", expires: .seconds(1_000))
    step.set("owner", "bob")
    step.delete("nothing")
    step.require("owner", is: StoredValue("alice"))
    step.require("lock", is: nil)
    #expect(try await store.perform(step))
    let after = try await store.all(prefix: "")
    #expect(
        after == [
            "owner": StoredValue("bob"), "alice": StoredValue(90), "bob": StoredValue(10), "note": StoredValue("paid"),
        ])
    // A set has the expiry it was given, an increment keeps the one that is there.
    for key in ["alice", "note"] {
        let life = try await store.remainingLife(key)
        #expect(life != nil && life! != nil, "\(key)")
    }
    for key in ["bob", "owner"] { #expect(try await store.remainingLife(key) == .some(nil), "\(key)") }
    // As many keys as a step may have, values of every kind as requirements.
    var large = AtomicStep()
    for index in 0..<AtomicStep.maximumKeys { large.set("large\(index)", index) }
    #expect(try await store.perform(large))
    #expect(try await store.keys(prefix: "large").count == AtomicStep.maximumKeys)
    for value in valuesOfEveryKind {
        #expect(try await store.store("v", value, expires: nil, if: .always))
        var next = AtomicStep()
        next.require("v", is: value)
        next.delete("v")
        #expect(try await store.perform(next))
        #expect(try await store.perform(next) == false)
    }
}

public func checkRefusedSteps(_ store: some StoreBackend) async throws {
    let before: [String: StoredValue] = [
        "word": StoredValue("x"), "most": StoredValue(Int64.max), "n": StoredValue(1), "large": StoredValue(UInt64.max),
    ]
    for (key, value) in before { #expect(try await store.store(key, value, expires: nil, if: .always)) }
    func step(_ body: (inout AtomicStep) -> Void) -> AtomicStep {
        var step = AtomicStep()
        step.set("new", "value")
        step.increment("n")
        step.increment("other", by: 3)
        body(&step)
        return step
    }
    for (key, value) in [
        ("word", StoredValue("y")), ("word", nil), ("missing", StoredValue(0)), ("n", StoredValue("1")),
    ] {
        #expect(try await store.perform(step { $0.require(key, is: value) }) == false)
        #expect(try await store.all(prefix: "") == before)
    }
    await expectStoreError({ $0 == .overflow }) { _ = try await store.perform(step { $0.increment("most", by: 1) }) }
    #expect(try await store.all(prefix: "") == before)
    for key in ["word", "large"] {
        await expectStoreError({ if case .mismatch = $0 { true } else { false } }) {
            _ = try await store.perform(step { $0.increment(key) })
        }
        #expect(try await store.all(prefix: "") == before)
    }
    // A requirement that does not hold comes before a change that could not be made.
    #expect(
        try await store.perform(
            step {
                $0.increment("word")
                $0.require("missing", is: StoredValue(0))
            }) == false)
}

public func checkBadSteps(_ store: some StoreBackend) async throws {
    func isBadStep(_ code: StoreError.Code) -> Bool { if case .badStep = code { true } else { false } }
    var onlyRequires = AtomicStep()
    onlyRequires.require("k", is: nil)
    var twice = AtomicStep()
    twice.set("k", 1)
    twice.increment("k")
    var tooLarge = AtomicStep()
    for index in 0...AtomicStep.maximumKeys { tooLarge.set("k\(index)", index) }
    for bad in [AtomicStep(), onlyRequires, twice, tooLarge] {
        await expectStoreError(isBadStep) { _ = try await store.perform(bad) }
    }
    var badKey = AtomicStep()
    badKey.set("", 1)
    await expectStoreError({ if case .badKey = $0 { true } else { false } }) { _ = try await store.perform(badKey) }
    var badLife = AtomicStep()
    badLife.set("k", 1, expires: .zero)
    await expectStoreError({ if case .badArgument = $0 { true } else { false } }) {
        _ = try await store.perform(badLife)
    }
    #expect(try await store.count() == 0)
}

public func checkSumsInSteps(_ store: some StoreBackend) async throws {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SplitMix64(seed: seed)
    let edges: [Int64] = [
        .min, .min + 1, -1_000_000_000, -999_999_999, -1, 0, 1, 999_999_999, 1_000_000_000, .max - 1, .max,
    ]
    func number() -> Int64 {
        Bool.random(using: &random) ? edges.randomElement(using: &random)! : .random(in: .min ... .max, using: &random)
    }
    for round in 0..<400 {
        let (a, b) = (number(), number())
        let (sum, isTooLarge) = a.addingReportingOverflow(b)
        #expect(try await store.store("n", StoredValue(a), expires: nil, if: .always))
        var step = AtomicStep()
        step.increment("n", by: b)
        step.set("round", round)
        if isTooLarge {
            await expectStoreError({ $0 == .overflow }, "\(a) + \(b), seed \(seed)") {
                _ = try await store.perform(step)
            }
            #expect(try await store.load("n") == StoredValue(a))
        } else {
            #expect(try await store.perform(step), "\(a) + \(b), seed \(seed)")
            #expect(try await store.load("n") == StoredValue(sum), "\(a) + \(b), seed \(seed)")
        }
    }
}
