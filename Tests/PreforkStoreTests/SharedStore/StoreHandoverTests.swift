// A store that another image of the program goes on with, in one process.

import PreforkSystem
import Testing

@testable import PreforkStore

@Suite struct StoreHandoverTests {
    private let capacity = StoreCapacity(entries: 100, bytes: 1 << 20, publishLog: 1 << 16)

    private func text() throws -> String {
        StoreForm(try StoreTable(capacity, evicts: false, lockTimeout: 0)).text
    }

    @Test func `The same capacity finds the same layout and secrets`() throws {
        let table = try StoreTable(capacity, evicts: false, lockTimeout: 0)
        let form = try StoreForm(text: StoreForm(table).text, capacity, evicts: false)
        #expect(form.layout == table.layout && form.secrets.words == table.secrets.words)
    }

    @Test func `Another capacity is refused with both`() throws {
        var other = capacity
        other.publishLog = 1 << 17
        let error = try #require(throws: StoreError.self) { try StoreForm(text: try text(), other, evicts: false) }
        #expect(
            error.code == .notAStore("""
                it was made with 100 entries, 1048576 bytes, a publish log of 65536 bytes and `refuse`, and this \
                program makes it with 100 entries, 1048576 bytes, a publish log of 131072 bytes and `refuse`
                """))
        #expect(throws: StoreError.self) { try StoreForm(text: try text(), capacity, evicts: true) }
    }

    @Test func `The text of another version is refused`() throws {
        let words = try text().split(separator: " ").map(String.init)
        let old = ([words[0], words[1]] + words[6...]).joined(separator: " ")
        for text in [old, "", "x", words.dropLast().joined(separator: " ")] {
            #expect(throws: StoreError.self) { try StoreForm(text: text, capacity, evicts: false) }
        }
    }

    /// A trial writes where no other process sees it, and waits for no lock.
    @Test func `A private copy has the values, and its writer reaches nobody`() throws {
        let store = try SharedStore(capacity: capacity)
        try store.set("a", 1)
        let file = MemoryFile(owning: Descriptor(owning: try duplicate(store.descriptors.memory)))
        let copy = try StoreTable(
            MemoryFile(owning: try file.reopenedForReading()), bell: try Bell(),
            form: StoreForm(store.table), lockTimeout: 0, isPrivate: true)
        // A living process has every lock of the original.
        for stripe in 0..<store.table.layout.stripes { #expect(store.table.sharedLock(stripe).tryLock()) }
        for stripe in 0..<copy.layout.stripes {
            try copy.lock(stripe)
            copy.unlock(stripe)
        }
        for stripe in 0..<store.table.layout.stripes { store.table.sharedLock(stripe).unlock() }
        let key = Array("a".utf8)
        #expect(try key.withUnsafeBytes { try copy.delete($0) })
        #expect(try store.get("a") == 1)
    }
}
