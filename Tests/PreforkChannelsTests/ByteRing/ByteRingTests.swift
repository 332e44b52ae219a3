// Records in a ring, by one process: two values that share memory, as two processes would.

import PreforkSystem
import Synchronization
import Testing

@testable import PreforkChannels

/// Memory for one ring, and ways to write anything over it.
private final class Scene {
    let mapping: SharedMapping
    let ring: ByteRing

    init(capacity: Int) throws {
        mapping = try SharedMapping(byteCount: ByteRing.controlByteCount + capacity)
        ring = ByteRing(
            control: mapping.base, memory: mapping.base + ByteRing.controlByteCount, capacity: capacity)
    }

    func write(_ value: UInt64, at offset: Int) {
        mapping.base.storeBytes(of: value, toByteOffset: offset, as: UInt64.self)
    }
}

extension ByteRingProducer {
    fileprivate mutating func push(_ bytes: [UInt8], id: UInt64 = 0, generation: UInt64 = 0) -> Outcome {
        bytes.withUnsafeBytes { push(.init(type: .message, kind: 1, generation: generation, id: id), $0) }
    }
}

extension ByteRingConsumer {
    fileprivate mutating func header() -> ByteRingHeader? {
        if case .record(let header) = look() { header } else { nil }
    }

    fileprivate mutating func pop() -> [UInt8]? {
        guard let header = header() else { return nil }
        let bytes = withPayload(of: header) { Array($0) }
        _ = advance(past: header)
        return bytes
    }
}

@Suite(.timeLimit(.minutes(2)))
struct ByteRingTests {
    @Test func recordsComeOutAsTheyWentInAcrossManyRoundsOfAllLengths() throws {
        let scene = try Scene(capacity: 1024)
        var producer = ByteRingProducer(scene.ring)
        var consumer = ByteRingConsumer(scene.ring)
        for round in 0..<10_000 {
            let bytes = (0..<round % 257).map { UInt8(truncatingIfNeeded: $0 &* round) }
            #expect(producer.push(bytes, id: UInt64(round), generation: 7) == .done(wakesConsumer: false))
            let found = consumer.header()
            let header = try #require(found)
            #expect(header.id == UInt64(round) && header.generation == 7 && header.length == bytes.count)
            #expect(consumer.pop() == bytes)
        }
        #expect(consumer.look() == .empty)
    }

    @Test func whatWaitsIsCountedForOperators() throws {
        let scene = try Scene(capacity: 1024)
        var producer = ByteRingProducer(scene.ring)
        var consumer = ByteRingConsumer(scene.ring)
        #expect(scene.ring.waitingRecords == (0, 0))
        for _ in 0..<5 { _ = producer.push([1, 2, 3]) }
        #expect(scene.ring.waitingRecords == (5, 5 * 32))
        _ = consumer.pop()
        #expect(scene.ring.waitingRecords == (4, 4 * 32))
        #expect(scene.ring.sent.pointee.load(ordering: .relaxed) == 5)
        // Successors go on counting where these stop.
        var (nextProducer, nextConsumer) = (ByteRingProducer(scene.ring), ByteRingConsumer(scene.ring))
        _ = nextProducer.push([1])
        _ = nextConsumer.pop()
        #expect(scene.ring.waitingRecords.count == 4)
        nextConsumer.skipAll()
        #expect(scene.ring.waitingRecords == (0, 0))
        // Killed after it has counted, before it has written: the next one at the empty ring counts anew.
        scene.write(99, at: 8)
        var afterKill = ByteRingProducer(scene.ring)
        _ = afterKill.push([1])
        #expect(scene.ring.waitingRecords.count == 1)
    }

    @Test(arguments: [UInt64.max, 1 << 63, 12345]) func noCountIsBeyondTheRing(stray: UInt64) throws {
        let scene = try Scene(capacity: 1024)
        var producer = ByteRingProducer(scene.ring)
        for _ in 0..<3 { _ = producer.push([1]) }
        for offset in [0, 8, 64, 72] {
            scene.write(stray, at: offset)
            let waiting = scene.ring.waitingRecords
            #expect((0...1024).contains(waiting.bytes) && (0...1024 / 24).contains(waiting.count))
        }
    }

    @Test func aFullRingTakesNothingAndLosesNothing() throws {
        let scene = try Scene(capacity: 1024)
        var producer = ByteRingProducer(scene.ring)
        var consumer = ByteRingConsumer(scene.ring)
        var sent = 0
        while producer.push([UInt8(sent)]) != .full { sent += 1 }
        #expect(sent == 1024 / 32)
        for number in 0..<sent { #expect(consumer.pop() == [UInt8(number)]) }
        #expect(consumer.look() == .empty)
    }

    @Test func aProducerOrConsumerThatStartsAgainGoesOnWhereTheLastOneStopped() throws {
        let scene = try Scene(capacity: 1024)
        for number in 0..<200 {
            var producer = ByteRingProducer(scene.ring)
            _ = producer.push([UInt8(number), 1])
            _ = producer.push([UInt8(number), 2])
            for part in 1...2 {
                var consumer = ByteRingConsumer(scene.ring)
                #expect(consumer.pop() == [UInt8(number), UInt8(part)])
            }
        }
    }

    @Test func aRecordThatWasLookedAtButNotTakenIsThereForTheNextConsumer() throws {
        let scene = try Scene(capacity: 1024)
        var producer = ByteRingProducer(scene.ring)
        for number in 0..<40 {
            _ = producer.push(Array(repeating: UInt8(number), count: 200))
            var killed = ByteRingConsumer(scene.ring)
            _ = killed.look()
            var next = ByteRingConsumer(scene.ring)
            #expect(next.pop() == Array(repeating: UInt8(number), count: 200))
        }
    }

    @Test func aSleeperIsWokenOnceAndOnlyWhenItSleeps() throws {
        let scene = try Scene(capacity: 1024)
        var producer = ByteRingProducer(scene.ring)
        var consumer = ByteRingConsumer(scene.ring)
        #expect(scene.ring.consumerFallsAsleep())
        #expect(producer.push([1]) == .done(wakesConsumer: true))
        #expect(producer.push([2]) == .done(wakesConsumer: false))
        #expect(!scene.ring.consumerFallsAsleep())
        #expect(consumer.pop() == [1])
        while producer.push([3]) != .full {}
        #expect(scene.ring.producerFallsAsleep(needing: 1))
        let found = consumer.header()
        let header = try #require(found)
        let wakes = consumer.advance(past: header)
        #expect(wakes)
        #expect(!scene.ring.producerFallsAsleep(needing: 1))
    }

    @Test func skippingThrowsEverythingAwayThatWaits() throws {
        let scene = try Scene(capacity: 1024)
        var producer = ByteRingProducer(scene.ring)
        var consumer = ByteRingConsumer(scene.ring)
        for _ in 0..<5 { _ = producer.push([1, 2, 3]) }
        consumer.skipAll()
        #expect(consumer.look() == .empty)
        _ = producer.push([4])
        #expect(consumer.pop() == [4])
    }

    @Test(arguments: [0, 1, 7, 8, 1 << 20, 0xFFFF_FFFF] as [UInt64])
    func aLengthThatReachesBeyondWhatWasCommittedIsCorrupt(_ length: UInt64) throws {
        let scene = try Scene(capacity: 1024)
        var producer = ByteRingProducer(scene.ring)
        var consumer = ByteRingConsumer(scene.ring)
        _ = producer.push([])
        scene.write(1 << 32 | length, at: ByteRing.controlByteCount)
        if length == 0 {
            #expect(consumer.pop() == [])
        } else {
            #expect(consumer.look() == .corrupt)
        }
    }

    @Test func positionsThatMakeNoSenseAreCorruptOnBothSides() throws {
        for nonsense in [3, 2048, UInt64.max, 1 << 63] as [UInt64] {
            let scene = try Scene(capacity: 1024)
            var producer = ByteRingProducer(scene.ring)
            var consumer = ByteRingConsumer(scene.ring)
            scene.write(nonsense, at: 0)
            #expect(consumer.look() == .corrupt)
            while case .done = producer.push([UInt8](repeating: 0, count: 64)) {}
            scene.write(nonsense, at: 64)
            #expect(producer.push([UInt8](repeating: 0, count: 64)) == .corrupt)
        }
    }

    @Test func garbageIsNeverMoreThanAnError() throws {
        var numbers = SystemRandomNumberGenerator()
        for _ in 0..<2_000 {
            let scene = try Scene(capacity: 512)
            var producer = ByteRingProducer(scene.ring)
            var consumer = ByteRingConsumer(scene.ring)
            for _ in 0..<6 { _ = producer.push([UInt8](repeating: 1, count: Int.random(in: 0...64))) }
            for _ in 0..<4 {
                let offset = ByteRing.controlByteCount + 8 * Int.random(in: 0..<64)
                scene.write(Bool.random() ? numbers.next() : UInt64.random(in: 0..<(1 << 36)), at: offset)
            }
            for _ in 0..<100 { if consumer.pop() == nil { break } }
        }
    }
}
