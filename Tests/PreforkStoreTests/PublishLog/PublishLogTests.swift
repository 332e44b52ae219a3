// The publish log as one subscriber sees it.

import PreforkSystem
import Testing

@testable import PreforkStore

@Suite(.timeLimit(.minutes(2)))
struct PublishLogTests {
    private func store(ring: Int = 16 << 10) throws -> SharedStore {
        try SharedStore(capacity: StoreCapacity(entries: 16, bytes: 4096, publishLog: ring))
    }

    private func reader(_ store: SharedStore, _ channel: String = "news", as name: String? = nil) throws
        -> PublishLogReader
    {
        try PublishLogReader(store.table, channel: Array(channel.utf8), resumingAs: name.map { Array($0.utf8) })
    }

    /// What there is now, as text: `5` for the message 5, `-5` for five that were lost.
    private func all(_ reader: inout PublishLogReader) -> [Int] {
        var found: [Int] = []
        while let news = reader.next() {
            switch news {
            case .message(let kind, let bytes):
                let value = bytes.withUnsafeBytes { Int(sharedBytes: $0, kind: kind) }
                found.append(value ?? .min)
            case .lagged(let lost): found.append(-lost)
            }
        }
        return found
    }

    @Test func messagesComeInOrderAndOnlyTheLaterOnes() throws {
        let store = try store()
        try store.publish("news", 1)
        var reader = try reader(store)
        #expect(reader.next() == nil)
        for number in 2...5 { try store.publish("news", number) }
        #expect(all(&reader) == [2, 3, 4, 5])
        #expect(reader.next() == nil)
        try store.publish("news", 6)
        #expect(all(&reader) == [6])
    }

    @Test func everyReaderGetsEveryMessageAndEveryKind() throws {
        let store = try store()
        var readers = [try reader(store), try reader(store)]
        let point = Point(x: 1, name: "two")
        try store.publish("news", "text")
        try store.publish("news", [UInt8]())
        try store.publish("news", point)
        for index in readers.indices {
            var found: [StoredValue] = []
            while case .message(let kind, let bytes)? = readers[index].next() {
                found.append(StoredValue(kind: kind, bytes: bytes))
            }
            #expect(found.prefix(2) == [StoredValue("text"), StoredValue([UInt8]())])
            #expect(try found.last?.decoded(as: Point.self, codec: store.codec) == point)
        }
    }

    @Test func channelsDoNotMeet() throws {
        let store = try store()
        var news = try reader(store, "news")
        var other = try reader(store, "new")
        for number in 1...10 { try store.publish(number % 2 == 0 ? "news" : "new", number) }
        try store.publish("nobody's", 99)
        #expect(all(&news) == [2, 4, 6, 8, 10])
        #expect(all(&other) == [1, 3, 5, 7, 9])
    }

    @Test(arguments: [4 << 10, 8 << 10, 16 << 10]) func whatIsLostIsCountedExactly(ring: Int) throws {
        let store = try store(ring: ring)
        var numbers = SplitMix64(seed: UInt64(ring))
        var reader = try reader(store)
        var published = 0
        var last = 0
        for _ in 0..<300 {
            for _ in 0..<numbers.below(200) {
                published += 1
                try store.publish("news", published)
                // Others' messages push ours out and are not counted.
                if numbers.below(3) == 0 {
                    try store.publish("other", numbers.bytes(numbers.below(store.table.messageLimit + 1)))
                }
            }
            for found in all(&reader) {
                if found < 0 { last -= found } else { #expect(found == last + 1) }
                if found > 0 { last = found }
            }
            #expect(last == published)
        }
    }

    @Test func aLossAtTheEndIsTold() throws {
        let store = try store()
        var reader = try reader(store)
        for number in 1...7 { try store.publish("news", number) }
        for _ in 0..<1_000 { try store.publish("other", "something else") }
        #expect(all(&reader) == [-7])
        #expect(all(&reader) == [])
        try store.publish("news", 8)
        #expect(all(&reader) == [8])
    }

    @Test func messagesOfEverySizeGoAroundTheRing() throws {
        let store = try store(ring: 8 << 10)
        var reader = try reader(store, "c")
        var numbers = SplitMix64(seed: 3)
        for round in 0..<5_000 {
            let bytes = numbers.bytes(round % 50 == 0 ? store.table.messageLimit : numbers.below(120))
            try store.publish("c", bytes)
            guard case .message(.bytes, let found)? = reader.next() else {
                Issue.record("no message in round \(round)")
                return
            }
            try #require(found == bytes, "round \(round)")
        }
        #expect(store.stats.damages == 0)
    }

    @Test func aMessageAboveTheLimitIsATypedError() throws {
        let store = try store(ring: 64 << 10)
        let limit = store.table.messageLimit
        #expect(limit == 16_384 - 32 - 512)
        var reader = try reader(store)
        let longest = String(repeating: "c", count: 512)
        try store.publish(longest, [UInt8](repeating: 1, count: limit))
        try store.publish("news", [UInt8](repeating: 1, count: limit))
        let error = #expect(throws: StoreError.self) {
            try store.publish("news", [UInt8](repeating: 1, count: limit + 1))
        }
        #expect(error?.code == .messageTooLarge(bytes: limit + 1, limit: limit))
        #expect(error.map { "\($0)" } == "news: a message of 15841 bytes exceeds the limit of 15840")
        guard case .message(_, let bytes)? = reader.next() else {
            Issue.record("no message")
            return
        }
        #expect(bytes.count == limit)
        #expect(reader.next() == nil)
        for channel in ["", longest + "c"] {
            #expect(throws: StoreError(.badKey(bytes: channel.utf8.count, limit: 512), key: channel)) {
                try store.publish(channel, 1)
            }
            #expect(throws: StoreError.self) { try self.reader(store, channel) }
        }
    }

    @Test(arguments: [1, 4_096, 5_000]) func theSmallestLogTakesMessages(ring: Int) throws {
        let store = try store(ring: ring)
        var reader = try reader(store)
        for number in 1...200 {
            try store.publish("news", number)
            #expect(all(&reader) == [number])
        }
    }

    @Test func aStoreWithoutALogSaysSo() throws {
        let store = try store(ring: 0)
        let error = #expect(throws: StoreError.self) { try store.publish("news", [UInt8]()) }
        #expect(error.map { "\($0)" } == "news: this store was made without a publish log")
        #expect(throws: StoreError.self) { try store.publish("news", 1) }
        #expect(throws: StoreError.self) { try self.reader(store) }
    }

    @Test func aSuccessorGoesOnAfterTheLastMessageItsPredecessorWasGiven() throws {
        let store = try store()
        var first = try reader(store, as: "worker 1")
        for number in 1...5 { try store.publish("news", number) }
        _ = first.next()
        _ = first.next()
        var second = try reader(store, as: "worker 1")
        #expect(all(&second) == [3, 4, 5])
        var third = try reader(store, as: "worker 1")
        #expect(all(&third) == [])
        // Without a reader, messages are kept. Under another name or on another channel a reader begins anew.
        for number in 6...7 { try store.publish("news", number) }
        var other = try reader(store, as: "worker 2")
        var elsewhere = try reader(store, "old", as: "worker 1")
        var fourth = try reader(store, as: "worker 1")
        #expect(all(&other) == [] && all(&elsewhere) == [])
        #expect(all(&fourth) == [6, 7])
    }

    @Test func aSuccessorIsToldOfWhatWasOverwrittenMeanwhile() throws {
        let store = try store(ring: 4 << 10)
        var first = try reader(store, as: "me")
        try store.publish("news", 1)
        #expect(all(&first) == [1])
        for number in 2...1_000 { try store.publish("news", number) }
        var second = try reader(store, as: "me")
        let found = all(&second)
        let lost = try #require(found.first)
        #expect(lost < 0)
        #expect(Array(found.dropFirst()) == Array(2 - lost...1_000))
        // Killed after the loss was told and before the message behind it was given.
        for number in 1_001...2_000 { try store.publish("news", number) }
        guard case .lagged(let more)? = second.next() else {
            Issue.record("no loss")
            return
        }
        var third = try reader(store, as: "me")
        #expect(all(&third).first == 1_001 + more)
    }

    @Test func thereAre256Cursors() throws {
        let store = try store()
        for index in 0..<256 { _ = try reader(store, as: "\(index)") }
        let error = #expect(throws: StoreError.self) { try self.reader(store, as: "one more") }
        #expect(error?.code == .badArgument("more than 256 cursors"))
        // Existing cursors can be used again, and listening needs no cursor.
        _ = try reader(store, as: "7")
        var reader = try reader(store)
        try store.publish("news", 1)
        #expect(all(&reader) == [1])
    }

    @Test func moreChannelsThanCountersLoseNoMessage() throws {
        let store = try store(ring: 1 << 20)
        var readers = try (0..<700).map { try reader(store, "\($0)") }
        for round in 1...3 { for index in 0..<700 { try store.publish("\(index)", round) } }
        for index in 0..<700 { #expect(all(&readers[index]).filter { $0 > 0 } == [1, 2, 3], "channel \(index)") }
    }

    @Test func aDamagedRingIsALossAndNoTrap() throws {
        let store = try store()
        var reader = try reader(store)
        for number in 1...20 { try store.publish("news", number) }
        let log = store.table.logWords
        for offset in stride(from: PublishLogLayout.ring, to: PublishLogLayout.ring + 400, by: 8) { log[offset] = .max }
        #expect(all(&reader).allSatisfy { $0 < 0 })
        for number in 21...2_000 { try store.publish("news", number) }
        #expect(store.stats.damages == 1)
        let found = all(&reader)
        #expect(found.last == 2_000)
        try store.publish("news", 2_001)
        #expect(all(&reader) == [2_001])
    }

    @Test(arguments: [PublishLogLayout.tail, PublishLogLayout.commit]) func damagedPositionsAreALossAndNoEndlessLoop(
        word: Int
    ) throws {
        for damage in [1, 3, 8, 800, 1 << 20, 1 << 40, 1 << 62, UInt64.max, 0 &- 8, 0 &- 4_000, 0 &- 1 << 40]
            as [UInt64]
        {
            let store = try store()
            var reader = try reader(store)
            for number in 1...300 { try store.publish("news", number) }
            store.table.logWords[word] = store.table.logWords[word] &+ damage
            _ = all(&reader)
            for number in 301...600 { try store.publish("news", number) }
            _ = all(&reader)
            // Who begins now sees what comes.
            var later = try self.reader(store)
            try store.publish("news", 601)
            #expect(all(&later) == [601], "\(damage)")
        }
    }
}
