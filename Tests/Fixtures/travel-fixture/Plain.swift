// Programs without a supervisor.

import Prefork
import PreforkFixtureSupport
import PreforkStore
import PreforkSystem

private func loopChild(_ body: @escaping @Sendable () async throws -> Void) throws -> Int32 {
    try child { try EventLoop().run(body) }
}

/// A loop may have opened a few for its waits, whenever the first of them came.
private func more(than before: Int) -> String {
    let more = descriptorCount() - before
    return more <= 3 ? "no more descriptors" : "\(more) more descriptors"
}

/// 1,000 channels, queues and stores come and go.
func leaksScenario(_ arguments: [String]) throws {
    let line = try Channel<Parcel>(name: "line")
    let sender = try loopChild {
        func round(_ number: Int) async throws {
            var parcel = Parcel(text: "\(number)")
            parcel.channel = try Channel(name: "made \(number)")
            parcel.queue = try WorkQueue(name: "made")
            parcel.store = try SharedStore(capacity: .init(entries: 10, bytes: 1 << 16, publishLog: 0))
            try await line.send(parcel)
            _ = try await parcel.channel!.receive()
        }
        for number in 0..<10 { try await round(number) }
        let before = descriptorCount()
        for number in 0..<1_000 { try await round(number) }
        say("sender: \(more(than: before))")
    }
    try EventLoop().run {
        func round() async throws {
            let parcel = try await line.receive()
            try parcel.store!.set("key", parcel.text)
            try await parcel.queue!.send(1)
            try await parcel.channel!.send("taken")
        }
        for _ in 0..<10 { try await round() }
        let before = descriptorCount()
        for _ in 0..<1_000 { try await round() }
        say("receiver: \(more(than: before))")
    }
    join(sender)
}

/// Says that it is a channel.
private struct Forged: Codable, Sendable {
    var note: HandleNote?
    var descriptors: [Int32] = []
    var text = ""

    private final class Owner: Sendable {}

    init(_ note: HandleNote?, _ descriptors: [Int32] = [], text: String = "") {
        self.note = note
        self.descriptors = descriptors
        self.text = text
    }

    init(from decoder: any Decoder) throws {
        if let text = try? decoder.singleValueContainer().decode(String.self) {
            self.text = text
            return
        }
        _ = try Channel<String>(from: decoder)
    }

    func encode(to encoder: any Encoder) throws {
        guard let note else {
            var container = encoder.singleValueContainer()
            return try container.encode(text)
        }
        try note.pack(descriptors, of: Owner(), into: encoder)
    }
}

/// A sender whose handles are none.
func hostileScenario(_ arguments: [String]) throws {
    let line = try Channel<Forged>(name: "line")
    let sender = try loopChild {
        let file = try MemoryFile(name: "wrong", byteCount: 4096)
        let bell = try Bell()
        let pair = try PacketPair()
        let memory = file.descriptor.number
        let (rings, sockets) = (bell.descriptor.number, pair.numbers)
        let note = HandleNote(kind: .channel, name: "forged", message: "String", form: "1 4096 100", words: [1, 0])
        let good = [memory, rings, rings] + sockets + sockets
        for round in 0..<1_010 {
            var (note, numbers) = (note, good)
            switch round % 5 {
            case 0: break
            case 1: numbers[0] = sockets[0]
            case 2: numbers[1 + round % 6] = memory
            case 3: note.form = "1 \(round) 1"
            default: numbers.removeLast()
            }
            try await line.send(Forged(note, numbers))
        }
        try await line.send(Forged(nil, text: "hello"))
    }
    try EventLoop().run {
        func refusals(_ count: Int) async -> Int {
            var refused = 0
            for _ in 0..<count {
                do { _ = try await line.receive() } catch let error as ChannelError {
                    if case .notAChannel = error.code { refused += 1 } else { say("wrong \(error)") }
                } catch {
                    say("wrong \(error)")
                }
            }
            return refused
        }
        _ = await refusals(10)
        let before = descriptorCount()
        let refused = await refusals(1_000)
        say("refused \(refused), \(more(than: before))")
        say("then \(try await line.receive().text)")
    }
    join(sender)
}

/// A receiver without room for descriptors.
func noRoomScenario(_ arguments: [String]) throws {
    let line = try Channel<Parcel>(name: "line")
    let sender = try loopChild {
        let channel = try Channel<String>(name: "made")
        try await line.send(Parcel(text: "first", channel: channel))
        say("sender hears \(try await channel.receive(timeout: .seconds(60)))")
    }
    try EventLoop().run {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(7), &limit)  // RLIMIT_NOFILE
        let old = limit
        // Only once the message is there: the loop needs descriptors of its own to wait.
        try await eventually { if !line.hasArrived { throw CancellationError() } }
        limit.rlim_cur = rlim_t(descriptorCount() + 2)
        setrlimit(__rlimit_resource_t(7), &limit)
        say("without room: \(await code { _ = try line.tryReceive() }.contains("Too many open files"))")
        var again = old
        setrlimit(__rlimit_resource_t(7), &again)
        let parcel = try await line.receive(timeout: .seconds(60))
        try await parcel.channel!.send("got the \(parcel.text)")
    }
    join(sender)
}

extension Channel {
    fileprivate var hasArrived: Bool { peerGeneration != nil }
}
