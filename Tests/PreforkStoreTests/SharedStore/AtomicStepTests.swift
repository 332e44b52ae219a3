// Several keys in one step: all of it, or nothing.

import PreforkStore
import Testing

@Suite(.timeLimit(.minutes(2)))
struct AtomicStepTests {
    private let store: SharedStore

    init() throws {
        store = try SharedStore(capacity: StoreCapacity(entries: 2_000, bytes: 8 << 20))
    }

    private func step(_ fill: (inout AtomicStep) -> Void) -> AtomicStep {
        var step = AtomicStep()
        fill(&step)
        return step
    }

    @Test func allChangesHappen() throws {
        try store.set("old", "text")
        try store.set("n", 5)
        let large = [UInt8](repeating: 7, count: 30_000)
        let done = try store.perform(
            step {
                $0.set("new", "value", expires: .seconds(1_000))
                $0.set("large", large)
                $0.increment("n", by: 3)
                $0.increment("m")
                $0.delete("old")
                $0.delete("never there")
                $0.require("n", is: StoredValue(5))
                $0.require("n", is: StoredValue(5))
                $0.require("nothing", is: nil)
            })
        #expect(done)
        #expect(try store.get("new") == "value")
        #expect(try store.remainingLife("new")! != nil)
        #expect(try store.get("large") == large)
        #expect(try store.get("n") == 8)
        #expect(try store.get("m") == 1)
        #expect(try !store.contains("old"))
        #expect(store.count == 4)
        #expect(try store.table.contradictions() == [])
    }

    @Test func aRequirementThatDoesNotHoldChangesNothing() throws {
        try store.set("owner", "alice")
        for requirement in [StoredValue("bob"), StoredValue([UInt8]("alice".utf8)), nil] {
            let done = try store.perform(
                step {
                    $0.set("owner", "carol")
                    $0.set("other", 1)
                    $0.require("owner", is: requirement)
                })
            #expect(!done)
        }
        let onlyRequires = step { $0.require("absent", is: nil) }
        #expect(throws: StoreError(.badStep("no change in it"))) { try store.perform(onlyRequires) }
        #expect(store.keys() == ["owner"])
        #expect(try store.get("owner") == "alice")
    }

    @Test func stepsThatAreNoneAreTypedErrors() throws {
        let twice = step {
            $0.set("a", 1)
            $0.delete("a")
        }
        #expect(throws: StoreError(.badStep("two changes of one key"), key: "a")) { try store.perform(twice) }
        #expect(throws: StoreError(.badStep("no change in it"))) { try store.perform(AtomicStep()) }
        #expect("\(StoreError(.badStep("no change in it")))" == "not a step: no change in it")
        let tooMany = step { step in for index in 0...64 { step.set("\(index)", index) } }
        #expect(throws: StoreError(.badStep("65 keys exceed the limit of 64"))) { try store.perform(tooMany) }
        let required = step { step in
            for index in 0..<64 { step.set("\(index)", index) }
            step.require("one more", is: nil)
        }
        #expect(throws: StoreError(.badStep("65 keys exceed the limit of 64"))) { try store.perform(required) }
        for key in ["", String(repeating: "k", count: 513)] {
            #expect(throws: StoreError(.badKey(bytes: key.utf8.count, limit: 512))) {
                try store.perform(
                    step {
                        $0.set("a", 1)
                        $0.set(key, 1)
                    })
            }
        }
        #expect(throws: StoreError(.valueTooLarge(bytes: 1 << 20 + 1, limit: 1 << 20))) {
            try store.perform(
                step {
                    $0.set("a", 1)
                    $0.set("b", [UInt8](repeating: 0, count: 1 << 20 + 1))
                })
        }
        #expect(store.count == 0)
    }

    @Test func sixtyFourKeysAreOneStep() throws {
        let all = step { step in
            for index in 0..<64 {
                step.increment("\(index)", by: Int64(index))
                step.require("\(index)", is: nil)
            }
        }
        #expect(try store.perform(all))
        #expect(try !store.perform(all))
        #expect(try store.getAll(as: Int.self).values.sorted() == Array(0..<64))
        let none = step { step in for index in 0..<64 { step.delete("\(index)") } }
        #expect(try store.perform(none))
        #expect(store.count == 0)
        #expect(store.stats.bytes == 0)
        #expect(try store.table.contradictions() == [])
    }

    @Test func anErrorInTheMiddleChangesNothing() throws {
        try store.set("text", "x")
        try store.set("top", Int64.max)
        let before = store.getAll()
        for key in ["text", "top"] {
            let error = #expect(throws: StoreError.self) {
                try store.perform(
                    step {
                        $0.set("a", [UInt8](repeating: 1, count: 50_000))
                        $0.delete(key == "text" ? "top" : "text")
                        $0.increment(key)
                        $0.set("b", 2)
                    })
            }
            #expect(error?.key == key)
        }
        #expect(store.getAll() == before)
        #expect(try store.table.contradictions() == [])
    }

    @Test func aFullStoreRefusesTheWholeStep() throws {
        let small = try SharedStore(capacity: StoreCapacity(entries: 10, bytes: 64 << 10))
        for index in 0..<9 { try small.set("\(index)", index) }
        let before = small.getAll()
        let entries = #expect(throws: StoreError.self) {
            try small.perform(
                step {
                    $0.set("0", "changed")
                    $0.set("a", 1)
                    $0.set("b", 1)
                })
        }
        #expect(entries?.code == .fullOfEntries(limit: 10))
        let bytes = #expect(throws: StoreError.self) {
            try small.perform(
                step {
                    $0.set("0", [UInt8](repeating: 1, count: 30_000))
                    $0.set("1", [UInt8](repeating: 2, count: 40_000))
                })
        }
        guard case .full = bytes?.code else { throw bytes! }
        #expect(small.getAll() == before)
        #expect(try small.table.contradictions() == [])
        #expect(
            try small.perform(
                step {
                    $0.delete("0")
                    $0.set("a", 1)
                }))
        #expect(small.count == 9)
        #expect(try small.table.contradictions() == [])
    }
}
