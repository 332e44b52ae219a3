// A subscription that continues where another one stands.

import PreforkCBOR
import PreforkChannels
import PreforkEventLoop
import PreforkStore
import Testing

@Suite(.timeLimit(.minutes(2))) struct SubscriptionPlaceTests {
    private func loop(_ body: @escaping @Sendable () async throws -> Void) throws {
        try EventLoop().run { try await body() }
    }

    @Test func `Each message is given once, by one of the two`() throws {
        try loop {
            let store = try SharedStore()
            var messages = try store.subscribe("chat", as: Int.self, from: .now)
            var next = 0
            for published in 1...300 {
                try store.publish("chat", published)
                try store.publish("noise", "between")
                guard published.isMultiple(of: 3) else { continue }
                var iterator = messages.makeAsyncIterator()
                for _ in 0..<2 {
                    next += 1
                    #expect(try await iterator.next() == .message(next))
                }
                // What travels is Codable.
                let place = try CBORCodec().decode(
                    SubscriptionPlace.self, from: CBORCodec().encode(messages.place))
                #expect(place == messages.place)
                messages = try store.subscribe("chat", as: Int.self, from: .after(place))
            }
            var iterator = messages.makeAsyncIterator()
            while next < 300 {
                next += 1
                #expect(try await iterator.next() == .message(next))
            }
        }
    }

    @Test func `What was overwritten meanwhile is counted`() throws {
        try loop {
            let store = try SharedStore(capacity: .init(entries: 10, bytes: 64 << 10, publishLog: 1))
            let place = try store.subscribe("chat", as: Int.self, from: .now).place
            for number in 1...1_000 {
                try store.publish("chat", number)
                try store.publish("noise", "of another channel")
            }
            let messages = try store.subscribe("chat", as: Int.self, from: .after(place))
            var iterator = messages.makeAsyncIterator()
            guard case .lagged(let lost)? = try await iterator.next() else { throw CancellationError() }
            #expect(lost > 500)
            // The loss was told, and the message behind it not given yet.
            let second = try store.subscribe("chat", as: Int.self, from: .after(messages.place))
            var another = second.makeAsyncIterator()
            for number in lost + 1...1_000 {
                #expect(try await iterator.next() == .message(number))
                #expect(try await another.next() == .message(number))
            }
        }
    }

    @Test func `A place of another store is not believed beyond the end`() throws {
        try loop {
            let (full, empty) = (try SharedStore(), try SharedStore())
            let reader = try full.subscribe("chat", as: Int.self, from: .now)
            for number in 1...100 { try full.publish("chat", number) }
            var iterator = reader.makeAsyncIterator()
            for _ in 1...100 { _ = try await iterator.next() }
            let messages = try empty.subscribe("chat", as: Int.self, from: .after(reader.place))
            try empty.publish("chat", 7)
            var next = messages.makeAsyncIterator()
            #expect(try await next.next() == .message(7))
        }
    }
}
