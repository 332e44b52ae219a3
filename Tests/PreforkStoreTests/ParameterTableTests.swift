// Every public parameter of PreforkStore with values that make no sense.

import PreforkCBOR
import PreforkStore
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct ParameterTableTests {
    @Test(arguments: table) func everyValueHasItsMeaningOrItsError(_ row: ParameterRow) async {
        await row.check()
    }

    @Test func noParameterIsMissing() {
        expectComplete(
            Self.table, module: "PreforkStore",
            reasons: [
                "StoreStats": "what a store has counted",
                "SharedStore.init.name": "any text; what an upgrade makes of names: StoreHandoverTests",
                "SharedStore.init.was": "any number: one that no store had finds nothing, StoreHandoverTests",
                "AtomicStep.Change": "what a step has been told, by its functions",
            ])
    }

    private static func store(
        _ capacity: StoreCapacity = StoreCapacity(entries: 64, bytes: 1 << 20, publishLog: 1 << 14),
        lockTimeout: Duration = .seconds(1)
    ) throws -> SharedStore {
        try SharedStore(capacity: capacity, lockTimeout: lockTimeout)
    }

    private static let table: [ParameterRow] = keys + prefixes + lives + numbers + capacities + others

    /// Every function that takes one key.
    private static let keyed: [(parameter: String, call: @Sendable (SharedStore, String) throws -> Void)] = [
        ("SharedStore.get.key", { mustHold(try $0.get($1, as: Int.self) == nil) }),
        ("SharedStore.get.key", { mustHold(try $0.get($1, as: Point.self) == nil) }),
        ("SharedStore.get.key", { mustHold(try $0.get($1, default: 7) == 7) }),
        (
            "SharedStore.get.key",
            { store, key in
                mustHold(
                    try withUnsafeTemporaryAllocation(byteCount: 8, alignment: 8) { try store.get(key, into: $0) }
                        == nil)
            }
        ),
        ("SharedStore.withValue.key", { mustHold(try $0.withValue($1) { $0.byteCount } == nil) }),
        ("SharedStore.stored.key", { mustHold(try $0.stored($1) == nil) }),
        ("SharedStore.contains.key", { mustHold(try !$0.contains($1)) }),
        ("SharedStore.remainingLife.key", { mustHold(try $0.remainingLife($1) == nil) }),
        ("SharedStore.set.key", { try $0.set($1, 1) }),
        ("SharedStore.set.key", { try $0.set($1, 1, expires: .seconds(1_000)) }),
        ("SharedStore.set.key", { try $0.set($1, Point(x: 1)) }),
        ("SharedStore.add.key", { mustHold(try $0.add($1, 1)) }),
        ("SharedStore.add.key", { mustHold(try $0.add($1, Point(x: 1))) }),
        ("SharedStore.replace.key", { mustHold(try !$0.replace($1, 1)) }),
        ("SharedStore.replace.key", { mustHold(try !$0.replace($1, Point(x: 1))) }),
        ("SharedStore.delete.key", { mustHold(try !$0.delete($1)) }),
        ("SharedStore.increment.key", { mustHold(try $0.increment($1) == 1) }),
        ("SharedStore.compareAndSet.key", { mustHold(try $0.compareAndSet($1, expecting: nil, to: 1)) }),
        ("SharedStore.compareAndSet.key", { mustHold(try $0.compareAndSet($1, expecting: nil, to: Point(x: 1))) }),
        ("SharedStore.setLife.key", { mustHold(try !$0.setLife($1, nil)) }),
        ("SharedStore.publish.channel", { try $0.publish($1, 1) }),
        ("SharedStore.publish.channel", { try $0.publish($1, Point(x: 1)) }),
        ("AtomicStep.set.key", step { $0.set($1, 1) }),
        ("AtomicStep.set.key", step { $0.set($1, to: StoredValue(1)) }),
        ("AtomicStep.set.key", step { try $0.set($1, Point(x: 1), by: CBORCodec()) }),
        ("AtomicStep.increment.key", step { $0.increment($1) }),
        ("AtomicStep.delete.key", step { $0.delete($1) }),
        (
            "AtomicStep.require.key",
            step {
                $0.require($1, is: nil)
                $0.set("other", 1)
            }
        ),
        (
            "AtomicStep.require.key",
            step {
                try $0.require($1, is: nil as Point?, by: CBORCodec())
                $0.require($1, is: nil as Int?)
                $0.set("other", 1)
            }
        ),
    ]

    private static func step(
        _ change: @escaping @Sendable (inout AtomicStep, String) throws -> Void
    ) -> @Sendable (SharedStore, String) throws -> Void {
        { store, key in
            var step = AtomicStep()
            try change(&step, key)
            mustHold(try store.perform(step))
        }
    }

    private static let keys: [ParameterRow] =
        keyed.flatMap { parameter, call in
            Parameter.text(
                parameter, empty: .refused("0 bytes", "1 to 512"), huge: .refused("\(10 << 20) bytes", "1 to 512"),
                other: .means("a key like any other")
            ) { try call(store(), $0) }
        }
        // A typed error names the key, and not more of it than a line has room for.
        + Parameter.value("SharedStore.delete.key", "ESC and a line feed, missing", .refused("a\\u{1B}[2J\\u{A}b")) {
            try store().delete("a\u{1B}[2J\nb", ignoringMissing: false)
        }
        + Parameter.list(
            "SharedStore.get.several", of: "key", empty: .means("nothing"), huge: .means("one key, many times")
        ) { mustHold(try store().get(several: $0).isEmpty) }
        + Parameter.value("SharedStore.get.several", "an empty key", .refused("0 bytes", "1 to 512")) {
            _ = try store().get(several: ["a", ""])
        }

    private static let prefixed: [(String, @Sendable (SharedStore, String) throws -> Void)] = [
        ("SharedStore.keys.prefix", { #expect($0.keys(prefix: $1).count == ($1.isEmpty ? 1 : 0)) }),
        ("SharedStore.getAll.prefix", { #expect($0.getAll(prefix: $1).count == ($1.isEmpty ? 1 : 0)) }),
        ("SharedStore.getAll.prefix", { _ = try $0.getAll(prefix: $1, as: Int.self) }),
        ("SharedStore.removeAll.prefix", { mustHold(try $0.removeAll(prefix: $1) == ($1.isEmpty ? 1 : 0)) }),
    ]

    private static let prefixes: [ParameterRow] =
        prefixed.flatMap { parameter, call in
            Parameter.text(
                parameter, empty: .means("every key"), huge: .means("no key"), other: .means("keys that begin with it")
            ) {
                let store = try store()
                try store.set("key", 1)
                try call(store, $0)
            }
        }

    private static let living: [(String, @Sendable (SharedStore, Duration?) throws -> Void)] = [
        ("SharedStore.set.expires", { try $0.set("key", 1, expires: $1) }),
        ("SharedStore.set.expires", { try $0.set("key", Point(x: 1), expires: $1) }),
        ("SharedStore.add.expires", { mustHold(try $0.add("new", 1, expires: $1)) }),
        ("SharedStore.replace.expires", { mustHold(try $0.replace("key", 1, expires: $1)) }),
        (
            "SharedStore.compareAndSet.expires",
            { mustHold(try $0.compareAndSet("key", expecting: 7, to: 1, expires: $1)) }
        ),
        ("SharedStore.setLife.expires", { mustHold(try $0.setLife("key", $1)) }),
        (
            "AtomicStep.set.expires",
            { store, life in
                var step = AtomicStep()
                step.set("key", 1, expires: life)
                mustHold(try store.perform(step))
            }
        ),
    ]

    private static let lives: [ParameterRow] =
        living.flatMap { parameter, call in
            Parameter.duration(
                parameter, zero: .refused("expiry of 0.0 seconds"), negative: .refused("expiry of -"),
                huge: .means("292 years")
            ) { life in
                let store = try store()
                try store.set("key", 7)
                do {
                    try call(store, life)
                } catch {
                    mustHold(try store.get("key") == 7)
                    throw error
                }
                #expect(store.count > 0)
            }
                + Parameter.value(parameter, "nil", .means("for ever")) {
                    let store = try store()
                    try store.set("key", 7)
                    try call(store, nil)
                    mustHold(try store.remainingLife("key") == .some(nil))
                }
        }

    private static let numbers: [ParameterRow] =
        Parameter.number(
            "SharedStore.increment.by", zero: .means("the number as it is"), negative: .means("less"),
            huge: .means("the greatest, and one more is .overflow")
        ) { (amount: Int64) in
            let store = try store()
            mustHold(try store.increment("key", by: amount) == amount)
            if amount == .max { #expect(throws: StoreError.self) { try store.increment("key", by: 1) } }
            if amount == .min { #expect(throws: StoreError.self) { try store.increment("key", by: -1) } }
            mustHold(try store.get("key") == amount)
        }
        + Parameter.number(
            "AtomicStep.increment.by", zero: .means("the number as it is"), negative: .means("less"),
            huge: .means("the greatest, and one more is .overflow")
        ) { (amount: Int64) in
            let store = try store()
            var step = AtomicStep()
            step.increment("key", by: amount)
            mustHold(try store.perform(step))
            if amount == .max || amount == .min { #expect(throws: StoreError.self) { try store.perform(step) } }
            mustHold(try store.get("key") == amount)
        }

    private static let capacities: [ParameterRow] =
        Parameter.number(
            "StoreCapacity.init.entries", zero: .refused("capacity of 0 entries"),
            negative: .refused("capacity of -", "entries"),
            huge: .refused("capacity of \(Int.max) entries")
        ) { (entries: Int) in _ = try store(StoreCapacity(entries: entries)) }
        + Parameter.number(
            "StoreCapacity.init.bytes", zero: .refused("capacity of 0 bytes"),
            negative: .refused("capacity of -", "bytes"),
            huge: .refused("capacity of \(Int.max) bytes")
        ) { (bytes: Int) in _ = try store(StoreCapacity(bytes: bytes)) }
        + Parameter.number(
            "StoreCapacity.init.publishLog", zero: .refused("without a publish log"),
            negative: .refused("publish log of -"),
            huge: .refused("publish log of \(Int.max) bytes")
        ) { (bytes: Int) in
            try store(StoreCapacity(entries: 64, bytes: 1 << 20, publishLog: bytes)).publish("channel", "")
        }
        + Parameter.value("StoreCapacity.init.publishLog", "1", .means("the least that there is, 16 KiB")) {
            try store(StoreCapacity(entries: 64, bytes: 1 << 20, publishLog: 1)).publish("channel", "x")
        }
        + Parameter.duration(
            "SharedStore.init.lockTimeout", zero: .means("no lock is waited for"),
            negative: .means("no lock is waited for"),
            huge: .means("as long as it takes; 100 ms where no worker is")
        ) { timeout in
            let store = try store(lockTimeout: timeout)
            try store.set("key", 1)
            mustHold(try store.get("key") == 1)
        }

    private static let others: [ParameterRow] =
        Parameter.number(
            "StoreDescriptors.init.memory", zero: .refused("not a store"), negative: .refused("not a store"),
            huge: .refused("not a store")
        ) { (number: Int32) in
            // 0 is not the test's to close.
            _ = try SharedStore(adopting: StoreDescriptors(memory: number == 0 ? -2 : number, bell: -1))
        }
        + Parameter.number(
            "StoreDescriptors.init.bell", zero: .refused("not a store", "bell"),
            negative: .refused("not a store", "bell"),
            huge: .refused("not a store", "bell")
        ) { (number: Int32) in
            _ = try SharedStore(adopting: StoreDescriptors(memory: -1, bell: number == 0 ? -2 : number))
        }
        // Every kind of value with bytes that are none of its kind.
        + [ValueKind.integer, .unsigned, .double, .boolean, .string, .bytes, .coded].flatMap { kind in
            Parameter.list(
                "StoredValue.init.bytes", of: UInt8(0xFF), count: 1 << 20,
                empty: .means("a value that few types can be read from"),
                huge: .means("the largest value")
            ) { bytes in
                let value = StoredValue(kind: kind, bytes: bytes)
                let store = try store(StoreCapacity(entries: 64, bytes: 8 << 20))
                var step = AtomicStep()
                step.set("key", to: value)
                mustHold(try store.perform(step))
                mustHold(try store.stored("key") == value)
                #expect(throws: StoreError.self) { try store.get("key", as: Int.self) }
                #expect(throws: StoreError.self) { try store.get("key", as: Double.self) }
                #expect(throws: StoreError.self) { try store.increment("key") }
            }
        }
        + Parameter.value("StoredValue.init.bytes", "10 MiB", .refused("\(10 << 20) bytes", "\(1 << 20)")) {
            var step = AtomicStep()
            step.set("key", to: StoredValue(kind: .bytes, bytes: [UInt8](repeating: 7, count: 10 << 20)))
            _ = try store().perform(step)
        }
}
