// The store against a dictionary: whatever is done to both, both say the same.

import PreforkCBOR
import PreforkStore
import PreforkSystem
import Testing

/// `PREFORK_TEST_OPERATIONS` and `PREFORK_TEST_SEED` set their number and the seed. `Scripts/store-storm` asks for a
/// million.
@Suite(.timeLimit(.minutes(30)))
struct StoreModelTests {
    @Test func itBehavesLikeADictionary() throws {
        let operations = number("PREFORK_TEST_OPERATIONS", default: 30_000)
        let seed = UInt64(number("PREFORK_TEST_SEED", default: Int.random(in: 0...1_000_000)))
        var run = try ModelRun(seed: seed)
        for operation in 0..<operations { try run.step(operation) }
        #expect(try run.store.table.contradictions() == [], "seed \(seed)")
        #expect(run.store.stats.damages == 0)
        print("store against a dictionary: \(operations) operations, seed \(seed)")
    }
}

private struct ModelRun {
    let store: SharedStore
    private var model: [String: StoredValue] = [:]
    private var numbers: SplitMix64
    private let seed: UInt64
    private static let keys =
        ["a", "b", "user:1", "user:2", "ü", String(repeating: "long ", count: 100)] + (0..<18).map { "k\($0)" }

    init(seed: UInt64) throws {
        self.seed = seed
        numbers = SplitMix64(seed: seed)
        store = try SharedStore(capacity: StoreCapacity(entries: 256, bytes: 1 << 20, publishLog: 0))
    }

    private mutating func key() -> String { Self.keys[numbers.below(Self.keys.count)] }

    private mutating func value() -> StoredValue {
        switch numbers.below(8) {
        case 0: StoredValue("text \(numbers.below(5))")
        case 1, 2: StoredValue(numbers.below(10))
        case 3: StoredValue([UInt64.max, .max / 2, 0][numbers.below(3)])
        case 4: StoredValue(numbers.bytes(numbers.below(10_001)))
        case 5: StoredValue(numbers.bytes(numbers.below(3_000)))
        default: StoredValue(numbers.bytes(numbers.below(100)))
        }
    }

    /// Often what is there, so that comparisons hold now and then.
    private mutating func guess(_ key: String) -> StoredValue? {
        numbers.below(3) > 0 ? model[key] : (numbers.below(2) == 0 ? nil : value())
    }

    mutating func step(_ operation: Int) throws {
        let key = key()
        let hint = Comment(rawValue: "seed \(seed), operation \(operation), key \(key.prefix(8))")
        switch numbers.below(16) {
        case 0, 1, 2:
            let value = value()
            try store.set(key, stored: value)
            model[key] = value
        case 3: try #require(try store.delete(key) == (model.removeValue(forKey: key) != nil), hint)
        case 4:
            let value = value()
            try #require(try store.set(key, stored: value, if: .ifAbsent) == (model[key] == nil), hint)
            model[key] = model[key] ?? value
        case 5:
            let value = value()
            try #require(try store.set(key, stored: value, if: .ifPresent) == (model[key] != nil), hint)
            if model[key] != nil { model[key] = value }
        case 6, 7: try increment(key, hint)
        case 8, 9:
            let expected = guess(key)
            let new = numbers.below(4) == 0 ? nil : value()
            let done = try store.compareAndSet(key, expectingStored: expected, to: new, expires: nil)
            try #require(done == (model[key] == expected), hint)
            if done { model[key] = new }
        case 10, 11: try performStep(hint)
        case 12:
            try #require(try store.contains(key) == (model[key] != nil), hint)
            // Far enough away never to come: life changes, nothing else.
            try #require(
                try store.setLife(key, numbers.below(2) == 0 ? nil : .seconds(100_000)) == (model[key] != nil), hint)
        case 13:
            let several = (0..<numbers.below(6)).map { _ in self.key() }
            let expected = model.filter { several.contains($0.key) }
            try #require(try store.get(several: several) == expected, hint)
        default: break
        }
        try #require(try store.stored(key) == model[key], hint)
        if operation % 64 == 0 {
            try #require(store.getAll() == model, hint)
            try #require(store.keys(prefix: "k").sorted() == model.keys.filter { $0.hasPrefix("k") }.sorted(), hint)
            try #require(store.count == model.count, hint)
        }
        if operation % 4096 == 0 { try #require(try store.table.contradictions() == [], hint) }
    }

    private func sum(_ value: StoredValue?, _ amount: Int64) -> StoredValue? {
        guard let value else { return StoredValue(amount) }
        guard let number = try? value.decoded(as: Int64.self, codec: CBORCodec()) else { return nil }
        let (sum, overflow) = number.addingReportingOverflow(amount)
        return overflow ? nil : StoredValue(sum)
    }

    private mutating func increment(_ key: String, _ hint: Comment) throws {
        let amount = [1, -7, Int64.max / 2 + 1][numbers.below(3)]
        let expected = sum(model[key], amount)
        let result = try? store.increment(key, by: amount)
        try #require(result.map { StoredValue($0) } == expected, hint)
        if let expected { model[key] = expected }
    }

    private mutating func performStep(_ hint: Comment) throws {
        var step = AtomicStep()
        var after: [String: StoredValue]? = model
        let touched = Set((0..<1 + numbers.below(6)).map { _ in self.key() }).sorted()
        for key in touched {
            switch numbers.below(4) {
            case 0:
                step.delete(key)
                after?[key] = nil
            case 1:
                step.increment(key, by: 2)
                if let sum = sum(model[key], 2) { after?[key] = sum } else { after = nil }
            default:
                let value = value()
                step.set(key, to: value)
                after?[key] = value
            }
        }
        var holds = true
        for _ in 0..<numbers.below(3) {
            let key = key()
            let required = guess(key)
            step.require(key, is: required)
            if required != model[key] { holds = false }
        }
        let result = try? store.perform(step)
        // A requirement that does not hold is seen before a sum that cannot be made.
        try #require(result == (holds ? (after == nil ? nil : true) : false), hint)
        if result == true, let after { model = after }
        for key in touched { try #require(try store.stored(key) == model[key], hint) }
    }
}
