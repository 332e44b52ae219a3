// Names that processes share, in one process: what they stand for, and what others can do to them.

import PreforkStore
import PreforkTestSupport
import Synchronization
import Testing

@testable import PreforkChannels
@testable import PreforkSystem

@Suite(.timeLimit(.minutes(1)), .serialized) struct FamilyNamesTests {
    private func travelling<Message: Codable & Sendable>(
        _: Message.Type = String.self, _ base: String = "test"
    ) throws -> Channel<Message> {
        var options = ChannelOptions()
        options.travels = true
        return try Channel(name: uniqueName(base), options)
    }

    private func code<Value>(_ body: () throws -> Value) -> ChannelError.Code? {
        do {
            _ = try body()
            return nil
        } catch {
            return (error as? ChannelError)?.code
        }
    }

    @Test func `A registered channel is found by its name, and by others that it was given`() throws {
        let made = try travelling()
        let alias = uniqueName("alias")
        #expect(code { try Channel<String>.named(alias) } == .unknownName)
        try made.register(as: alias)
        #expect(try Channel<String>.named(alias).core === made.core)
        #expect(code { try Channel<Int>.named(alias) } == .wrongMessageType(found: "String", asked: "Int"))
        #expect(try Channel<String>.registered()[alias]?.core === made.core)
        #expect(try Channel<Int>.registered()[alias] == nil)
        #expect(Channel<Never>.names.contains(alias))
        made.unregister()
        #expect(code { try Channel<String>.named(alias) } == .unknownName)
        #expect(!Channel<Never>.names.contains(made.name))
    }

    @Test func `A name is its registrant's, who may register the same again, until another one replaces it`() throws {
        let (first, second) = (try travelling(), try travelling())
        let alias = uniqueName("alias")
        try first.register(as: alias)
        try first.register(as: alias)
        #expect(code { try second.register(as: alias) } == .duplicateName)
        try second.register(as: alias, replacing: true)
        #expect(try Channel<String>.named(alias).core === second.core)
        first.unregister()
        #expect(try Channel<String>.named(alias).core === second.core)
        second.unregister()
    }

    @Test func `A name that was inherited or made here stays what it is`() throws {
        let (first, second) = (try travelling(), try travelling())
        #expect(code { try second.register(as: first.name, replacing: true) } == .duplicateName)
        #expect(try Channel<String>.named(first.name).core === first.core)
    }

    @Test func `Names have 1 to 255 bytes`() throws {
        let made = try travelling()
        let refused = ChannelError.Code.badArgument("a name has 1 to 255 bytes")
        for name in ["", String(repeating: "x", count: 256), String(repeating: "ß", count: 128)] {
            #expect(code { try made.register(as: name) } == refused)
        }
        try made.register(as: String(repeating: "x", count: 255))
        made.unregister()
    }

    @Test func `Queues and stores have names of their own`() throws {
        var options = WorkQueueOptions()
        options.travels = true
        let name = uniqueName("shared")
        let queue = try WorkQueue<Int>(name: "jobs", options)
        let (store, made) = (try SharedStore(), try travelling())
        try queue.register(as: name)
        try store.register(as: name)
        try made.register(as: name)
        #expect(try WorkQueue<Int>.named(name).table === queue.table)
        #expect(try SharedStore.named(name).table === store.table)
        try queue.unregister()
        try store.unregister()
        #expect(throws: WorkQueueError.self) { try WorkQueue<Int>.named(name) }
        #expect(throws: StoreError.self) { try SharedStore.named(name) }
        #expect(try Channel<String>.named(name).core === made.core)
        made.unregister()
    }

    @Test func `There are 64 names, and each that is taken away makes room`() throws { try namesTurn.withLock { _ in try useAll() } }

    private func useAll() throws {
        let made = try travelling()
        let names = (0..<FamilyNames.limit).map { "name \($0)" }
        var registered = 0
        var refusal: ChannelError.Code?
        for name in names + ["one more"] {
            refusal = code { try made.register(as: name) }
            if refusal != nil { break }
            registered += 1
        }
        #expect(refusal == .tooManyNames(limit: 64) && registered == 64)
        made.unregister()
        try made.register(as: "one more")
        made.unregister()
    }

    /// Whatever a process of the service puts there, takes away or cuts off.
    @Test func `What is no name on the shelf is passed over, and gone with the next registration`() throws {
        try namesTurn.withLock { _ in try litter() }
    }

    private func litter() throws {
        let shelf = try FamilyNames.current().shelf
        let (made, other) = (try travelling(), try travelling())
        let (alias, second) = (uniqueName("alias"), uniqueName("second"))
        try made.register(as: alias)
        let file = try MemoryFile(name: "junk", byteCount: 4096)
        let junk = try duplicate(file.descriptor.number)
        defer { closeDescriptor(junk) }
        for bytes in [[1], [UInt8](repeating: 0xA1, count: 600), [UInt8](repeating: 7, count: 5_000)] {
            #expect(try shelf.put(bytes, [junk]))
        }
        #expect(try Channel<String>.named(alias).core === made.core)
        // A name from the future, without what belongs to it.
        var future = NameEntry(made.note(name: second), memory: junk)
        future.stamp = .max
        #expect(try shelf.put(try future.bytes(), [junk]))
        #expect(code { try Channel<String>.named(second) } == .unknownName)
        // One that has the name, and other descriptors.
        #expect(try shelf.put(try NameEntry(made.note(name: second), memory: junk).bytes(), [junk]))
        #expect(code { try Channel<String>.named(second) } == .notAChannel("1 descriptors"))
        try other.register(as: second, replacing: true)
        #expect(try Channel<String>.named(second).core === other.core)
        #expect(try Channel<String>.named(alias).core === made.core)
        #expect(try shelf.list().packets.count { NameEntry($0.bytes) == nil } == 0)
        // Until nothing fits in.
        while try shelf.put([UInt8](repeating: 9, count: 200), []) {}
        made.unregister()
        try made.register(as: alias)
        #expect(try Channel<String>.named(alias).core === made.core)
        made.unregister()
        other.unregister()
        #expect(try shelf.list().packets.isEmpty)
    }
}
