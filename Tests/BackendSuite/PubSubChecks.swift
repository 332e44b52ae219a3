// What every publish / subscribe must do, whatever is behind it: each sentence of `PubSubBackend`.

public import PreforkChannels
import PreforkStore
import PreforkTestSupport
public import Testing

/// One promise of `PubSubBackend`.
public struct PubSubCheck: Sendable, CustomTestStringConvertible {
    public let testDescription: String
    public let run: @Sendable (any PubSubBackend) async throws -> Void

    init(_ name: String, _ run: @escaping @Sendable (any PubSubBackend) async throws -> Void) {
        testDescription = name
        self.run = run
    }

    public static let all: [PubSubCheck] = [
        PubSubCheck("every subscriber gets every message in order") { try await checkDelivery($0) },
        PubSubCheck("messages of every kind come as they were") { try await checkMessages($0) },
        PubSubCheck("channels are apart") { try await checkChannelsAreApart($0) },
        PubSubCheck("publishing to nobody is no error") { try await $0.publish("nobody", StoredValue(1)) },
        PubSubCheck("nothing comes after unsubscribe") { try await checkUnsubscribe($0) },
        PubSubCheck("unsubscribe ends a wait") { try await checkUnsubscribeWhileWaiting($0) },
        PubSubCheck("a cancelled reader loses nothing") { try await checkCancelledReader($0) },
    ]
}

/// The next event of `iterator`, or what ends it.
package func read(_ count: Int, of events: any PublishedEvents) async throws -> [PublishedEvent] {
    var read: [PublishedEvent] = []
    for try await event in events {
        read.append(event)
        if read.count == count { break }
    }
    return read
}

public func checkDelivery(_ server: some PubSubBackend) async throws {
    var subscribers: [any PublishedEvents] = []
    for _ in 0..<3 { subscribers.append(try await server.subscribe("news")) }
    try await withThrowingTaskGroup(of: Void.self) { group in
        for publisher in 0..<4 {
            group.addTask {
                for number in 0..<50 {
                    try await server.publish("news", StoredValue([UInt8(publisher), UInt8(number)]))
                }
            }
        }
        try await group.waitForAll()
    }
    for subscriber in subscribers {
        var next = [0, 0, 0, 0]
        for event in try await read(200, of: subscriber) {
            guard case .message(let value) = event, value.bytes.count == 2 else {
                Issue.record("\(event)")
                continue
            }
            #expect(next[Int(value.bytes[0])] == Int(value.bytes[1]))
            next[Int(value.bytes[0])] += 1
        }
        #expect(next == [50, 50, 50, 50])
        await subscriber.unsubscribe()
    }
}

public func checkMessages(_ server: some PubSubBackend) async throws {
    let events = try await server.subscribe("kinds")
    for value in valuesOfEveryKind { try await server.publish("kinds", value) }
    let read = try await read(valuesOfEveryKind.count, of: events)
    #expect(read == valuesOfEveryKind.map { .message($0) })
    await events.unsubscribe()
}

public func checkChannelsAreApart(_ server: some PubSubBackend) async throws {
    let names = ["a", "b", "a*", "a b", "é"]
    var all: [any PublishedEvents] = []
    for name in names { all.append(try await server.subscribe(name)) }
    for name in names { try await server.publish(name, StoredValue(name)) }
    for name in names { try await server.publish(name, StoredValue("end")) }
    for (name, events) in zip(names, all) {
        #expect(try await read(2, of: events) == [.message(StoredValue(name)), .message(StoredValue("end"))])
        await events.unsubscribe()
    }
}

public func checkUnsubscribe(_ server: some PubSubBackend) async throws {
    let (leaving, staying) = (try await server.subscribe("c"), try await server.subscribe("c"))
    try await server.publish("c", StoredValue(1))
    #expect(try await read(1, of: leaving) == [.message(StoredValue(1))])
    try await server.publish("c", StoredValue(2))
    await leaving.unsubscribe()
    await leaving.unsubscribe()
    #expect(try await read(1, of: leaving) == [])
    try await server.publish("c", StoredValue(3))
    #expect(try await read(3, of: staying) == [1, 2, 3].map { .message(StoredValue($0)) })
    await staying.unsubscribe()
    // The last subscriber of a channel has gone. The next one is the first again.
    let again = try await server.subscribe("c")
    try await server.publish("c", StoredValue(4))
    #expect(try await read(1, of: again) == [.message(StoredValue(4))])
    await again.unsubscribe()
}

public func checkUnsubscribeWhileWaiting(_ server: some PubSubBackend) async throws {
    let events = try await server.subscribe("c")
    let reader = Task { try await read(1, of: events) }
    await events.unsubscribe()
    #expect(try await reader.value == [])
}

public func checkCancelledReader(_ server: some PubSubBackend) async throws {
    let events = try await server.subscribe("c")
    let reader = Task { try await read(1, of: events) }
    reader.cancel()
    // Cancelled before or while it waits: an error, or the end of its loop, but no message.
    let got = (try? await reader.value) ?? []
    #expect(got == [])
    try await server.publish("c", StoredValue(1))
    #expect(try await read(1, of: events) == [.message(StoredValue(1))])
    await events.unsubscribe()
}
