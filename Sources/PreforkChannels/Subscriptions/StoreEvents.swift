// A subscription whose messages keep their kind, for code that does not know their type.

import PreforkEventLoop
import PreforkStore

final class StoreEvents: PublishedEvents {
    typealias Element = PublishedEvent
    private let source: StoreSource<PublishedEvent>

    init(_ store: SharedStore, _ channel: String) throws {
        var reader = try PublishLogReader(store.table, channel: Array(channel.utf8), resumingAs: nil)
        source = StoreSource(store.table, on: try EventLoop.chosen(), wish: reader.sleepWish) {
            switch reader.next() {
            case nil: .nothing(within: nil)
            case .lagged(let count): .element(.lagged(count))
            case .message(let kind, let bytes): .element(.message(StoredValue(kind: kind, bytes: bytes)))
            }
        }
    }

    deinit {
        source.end()
    }

    func unsubscribe() async {
        await source.endAndWait()
    }

    struct Iterator: AsyncIteratorProtocol {
        let events: StoreEvents

        mutating func next() async throws -> PublishedEvent? {
            try await events.source.next()
        }
    }

    func makeAsyncIterator() -> Iterator {
        Iterator(events: self)
    }
}
