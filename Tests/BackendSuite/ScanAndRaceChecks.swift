// What every store must do with many keys, and with many callers.

public import PreforkChannels
import PreforkStore
import PreforkSystem
import Testing

public func checkOneMoment(_ store: some StoreBackend) async throws {
    let keys = (0..<8).map { "account\($0)" }
    for key in keys { #expect(try await store.store(key, StoredValue(100), expires: nil, if: .always)) }
    try await withThrowingTaskGroup(of: Void.self) { group in
        for seed in 0..<4 {
            group.addTask { () async throws -> Void in
                for round in 0..<100 {
                    var step = AtomicStep()
                    step.increment(keys[(seed + round) % 8], by: -3)
                    step.increment(keys[(seed + round + 1 + round % 7) % 8], by: 3)
                    #expect(try await store.perform(step))
                }
            }
            group.addTask { () async throws -> Void in
                for _ in 0..<100 {
                    let sum = try await store.load(keys).values.reduce(0) { try $0 + Int($1.number) }
                    #expect(sum == 800)
                }
            }
        }
        try await group.waitForAll()
    }
}

public func checkScans(_ store: some StoreBackend) async throws {
    let names = (0..<2_500).map { "many:\($0)" }
    try await withThrowingTaskGroup(of: Void.self) { group in
        for (index, name) in names.enumerated() {
            group.addTask { _ = try await store.store(name, StoredValue(index), expires: nil, if: .always) }
        }
        try await group.waitForAll()
    }
    #expect(try await store.store("other", StoredValue("x"), expires: nil, if: .always))
    let found = try await store.keys(prefix: "many:")
    #expect(found.count == names.count && Set(found) == Set(names))
    #expect(
        try await store.all(prefix: "many:")
            == Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, StoredValue($0)) }))
    #expect(try await store.all(prefix: "other") == ["other": StoredValue("x")])
    #expect(try await store.keys(prefix: "nobody") == [])
    #expect(try await store.keys(prefix: "").count == names.count + 1)
    #expect(try await store.count() == names.count + 1)
    #expect(try await store.remove("other"))
    #expect(try await store.count() == names.count)
}

public func checkConcurrency(_ store: some StoreBackend) async throws {
    try await withThrowingTaskGroup(of: Int.self) { group in
        for worker in 0..<8 {
            group.addTask {
                var wins = 0
                for round in 0..<50 {
                    _ = try await store.increment("sum", by: 1)
                    let mine = StoredValue("\(worker)")
                    if try await store.store("once\(round)", mine, expires: nil, if: .ifAbsent) { wins += 1 }
                    // A counter by compare-and-set: tried again until no other writer was in between.
                    while true {
                        let now = try await store.load("cas")
                        let next = StoredValue(try (now?.number ?? 0) + 1)
                        if try await store.compareAndSet("cas", expecting: now, to: next) { break }
                    }
                }
                return wins
            }
        }
        let wins = try await group.reduce(0, +)
        #expect(wins == 50)
    }
    #expect(try await store.load(["sum", "cas"]) == ["sum": StoredValue(400), "cas": StoredValue(400)])
}

public func checkRandomOperations(_ store: some StoreBackend) async throws {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SplitMix64(seed: seed)
    var model: [String: StoredValue] = [:]
    for step in 0..<1_500 {
        let key = "k\(Int.random(in: 0..<12, using: &random))"
        let value = valuesOfEveryKind.randomElement(using: &random)!
        let where_ = Comment("operation \(step), seed \(seed)")
        switch Int.random(in: 0..<6, using: &random) {
        case 0:
            let condition = [StoreCondition.always, .ifAbsent, .ifPresent].randomElement(using: &random)!
            let isStored = condition == .always || (condition == .ifPresent) == (model[key] != nil)
            if isStored { model[key] = value }
            #expect(try await store.store(key, value, expires: nil, if: condition) == isStored, where_)
        case 1:
            #expect(try await store.remove(key) == (model.removeValue(forKey: key) != nil), where_)
        case 2:
            let expected = Bool.random(using: &random) ? model[key] : value
            let isEqual = model[key] == expected
            let new = Bool.random(using: &random) ? value : nil
            if isEqual { model[key] = new }
            #expect(try await store.compareAndSet(key, expecting: expected, to: new) == isEqual, where_)
        case 3:
            let amount = Int64.random(in: -9...9, using: &random)
            if let sum = model.incremented(key, by: amount) {
                model[key] = StoredValue(sum)
                #expect(try await store.increment(key, by: amount) == sum, where_)
            } else {
                await #expect(throws: StoreError.self, where_) { try await store.increment(key, by: amount) }
            }
        case 4:
            #expect(try await store.load(key) == model[key], where_)
        default:
            #expect(try await store.all(prefix: "") == model, where_)
        }
    }
    #expect(try await store.count() == model.count)
}

extension [String: StoredValue] {
    /// Nil for what cannot be incremented.
    fileprivate func incremented(_ key: String, by amount: Int64) -> Int64? {
        guard let value = self[key] else { return amount }
        guard let number = try? value.number else { return nil }
        let (sum, isTooLarge) = number.addingReportingOverflow(amount)
        return isTooLarge ? nil : sum
    }
}
