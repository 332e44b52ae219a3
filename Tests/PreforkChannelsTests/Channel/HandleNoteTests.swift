// Handles inside of messages, of one process: which they are, and what is no handle.

import Glibc
import PreforkStore
import PreforkTestSupport
import Testing

@testable import PreforkChannels
@testable import PreforkSystem

/// Says that it is a handle, whatever it has.
private struct Forged: Encodable, Sendable {
    var note: HandleNote
    var descriptors: [Int32]

    private final class Owner: Sendable {}

    func encode(to encoder: any Encoder) throws { try note.pack(descriptors, of: Owner(), into: encoder) }
}

/// Encodes as what is forged, and decodes as a handle.
private struct Letter<Handle: Codable & Sendable>: Codable, Sendable {
    private var forged: Forged?
    private(set) var handle: Handle?

    init(_ forged: Forged) { self.forged = forged }
    init(_ handle: Handle) { self.handle = handle }
    init(from decoder: any Decoder) throws { handle = try Handle(from: decoder) }
    func encode(to encoder: any Encoder) throws {
        if let forged { try forged.encode(to: encoder) } else { try handle?.encode(to: encoder) }
    }
}

@Suite(.timeLimit(.minutes(1))) struct HandleNoteTests {
    private func travelling() throws -> Channel<String> {
        var options = ChannelOptions()
        options.travels = true
        return try Channel(name: uniqueName(), options)
    }

    /// What a receiver gets for what is forged, and that the next message arrives.
    private func reason<Handle: Codable & Sendable>(
        _ note: HandleNote, _ descriptors: [Int32], as: Handle.Type
    ) async throws -> String {
        let (near, far) = try Channel<Letter<Handle>>.both()
        try await near.send(Letter(Forged(note: note, descriptors: descriptors)))
        var reason = "no error"
        do {
            _ = try await far.receive()
        } catch {
            reason = "\(error)"
        }
        try await near.send(Letter(Forged(note: note, descriptors: descriptors)))
        await #expect(throws: (any Error).self) { _ = try await far.receive() }
        return reason
    }

    @Test func `A handle that comes back to where it was made is the one that is there`() async throws {
        let (near, far) = try Channel<Letter<Channel<String>>>.both()
        let made = try travelling()
        try await near.send(Letter(made))
        let back = try #require(try await far.receive().handle)
        #expect(back.core === made.core)
        try await made.opposite.send("hello")
        #expect(try await back.receive() == "hello")
    }

    @Test func `Handles travel in calls and answers`() async throws {
        let (near, far) = try Channel<Letter<SharedStore>>.both()
        let store = try SharedStore()
        try store.set("key", 1)
        try far.onCall { letter in
            try letter.handle?.increment("key")
            return letter
        }
        let answer = try await near.call(Letter(store), timeout: .seconds(30))
        #expect(try answer.handle?.get("key", as: Int.self) == 2)
    }

    @Test func `A process sends to itself by one handle`() async throws {
        let loop = try Channel<String>(name: uniqueName()).loop
        for text in ["one", "two"] { try await loop.send(text) }
        #expect(try await loop.receive() == "one")
        #expect(try await loop.receive() == "two")
        loop.close()
        await #expect(throws: ChannelError.self) { try await loop.send("three") }
    }

    @Test func `A handle goes nowhere but into a channel`() throws {
        let store = try SharedStore()
        #expect(throws: EncodingError.self) { try store.set("store", Letter(store)) }
        #expect(throws: EncodingError.self) { try WorkQueue<Letter<SharedStore>>(name: "q").trySend(Letter(store)) }
    }

    @Test func `What is no channel is refused by name, and the receiver goes on`() async throws {
        let made = try travelling()
        let good = made.core.memory.descriptors
        let note = made.note()
        let unsealed = open("/dev/shm", 0o20200000 | O_RDWR, 0o600)
        let other = try MemoryFile(name: "other", byteCount: 8192)
        let (reading, writing) = try { () throws -> (Int32, Int32) in
            var ends: [Int32] = [-1, -1]
            pipe(&ends)
            return (ends[0], ends[1])
        }()
        defer { for number in [unsealed, reading, writing] { close(number) } }
        func refused(_ note: HandleNote, _ numbers: [Int32], _ text: String, line: Int = #line) async throws {
            let reason = try await reason(note, numbers, as: Channel<String>.self)
            #expect(reason.contains(text) && reason.contains("not a channel"), "line \(line): \(reason)")
        }
        try await refused(note, [unsealed] + good.dropFirst(), "not a sealed memory file")
        try await refused(note, [reading] + good.dropFirst(), "not a sealed memory file")
        try await refused(note, [other.descriptor.number] + good.dropFirst(), "which has not")
        try await refused(note, [other.descriptor.number, reading] + good.dropFirst(2), "its bell")
        try await refused(note, [other.descriptor.number] + good[1...2] + [reading] + good[4...], "its socket")
        try await refused(note, Array(good.prefix(3)), "its descriptors are missing")
        var strange = note
        let forms = [
            "", "garbage", "9 4096 1", "2 4097 100", "2 -4096 100", "2 4096 99999999999999", "2 9223372036854775807 1",
        ]
        for form in forms {
            strange.form = form
            try await refused(strange, [other.descriptor.number] + good.dropFirst(), "another layout")
        }
        strange = note
        strange.codec = 9
        try await refused(strange, [other.descriptor.number] + good.dropFirst(), "codec")
        strange = note
        strange.kind = .queue
        try await refused(strange, good, "a queue")
    }

    @Test func `What is no queue or store is refused by name`() async throws {
        var options = WorkQueueOptions()
        options.travels = true
        let queue = try WorkQueue<Int>(name: "jobs", options)
        let other = try MemoryFile(name: "other", byteCount: 8192)
        let numbers = [other.descriptor.number] + queue.table.descriptors.dropFirst()
        let reason = try await reason(queue.note(), numbers, as: WorkQueue<Int>.self)
        #expect(reason.contains("not a queue") && reason.contains("memory"), "\(reason)")
        for form in ["", "1 4294967295 3 1", "1 64 31 1", "1 64 3 0", "1 64 3 99999"] {
            var note = queue.note()
            note.form = form
            let reason = try await self.reason(note, numbers, as: WorkQueue<Int>.self)
            #expect(reason.contains("another layout"), "\(form): \(reason)")
        }
        let store = try SharedStore()
        let strange = [other.descriptor.number, store.descriptors.bell]
        let second = try await self.reason(store.note(), strange, as: SharedStore.self)
        #expect(second.contains("not a store: no magic word"), "\(second)")
    }

    @Test func `A message's own descriptors and those of its handles are told apart`() async throws {
        let (near, far) = try Channel<Letter<SharedStore>>.both()
        let store = try SharedStore()
        let other = try MemoryFile(name: "own", byteCount: 4096)
        try await near.send(Letter(store), passing: [other.descriptor.number])
        let passed = try await far.receivePassed()
        #expect(passed.descriptors.count == 1)
        let arrived = passed.descriptors.first?.number.flatMap { FileIdentity(of: $0) }
        #expect(arrived == FileIdentity(of: other.descriptor.number))
        #expect(passed.message.handle?.table === store.table)
    }

    @Test func `What a process makes travels, unless it can be inherited or is not to`() {
        func reach(isOffered: Bool, _ travels: Bool?) -> MemoryReach {
            MemoryReach(
                HandoverClaim(kind: "channel", name: .name("a", again: 0), left: nil, isOffered: isOffered),
                travels: travels)
        }
        #expect(reach(isOffered: true, false) == .images && reach(isOffered: false, false) == .children)
        #expect(reach(isOffered: true, true) == .anyProcess && reach(isOffered: false, true) == .anyProcess)
    }
}
