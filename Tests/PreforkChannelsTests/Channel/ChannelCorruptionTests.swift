// Shared memory that another process has overwritten, and the pure parts.

import Glibc
import PreforkEventLoop
import PreforkStore
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkChannels

@Suite(.timeLimit(.minutes(2)))
struct ChannelCorruptionTests {
    private func isCorrupt(_ code: ChannelError.Code?) -> Bool {
        if case .corrupt = code { true } else { false }
    }

    @Test func garbageInTheRingClosesTheChannelAtBothEnds() async throws {
        let (near, far) = try Channel<Int>.both()
        let waiting = Task { await code { _ = try await near.receive() } }
        try await near.send(1)
        _ = try far.trySend(1)
        _ = await waiting.value
        near.core.memory.scribble(0xFFFF_FFFF_FFFF_FFFF, at: 4096)
        #expect(isCorrupt(await code { _ = try await far.receive() }))
        #expect(isCorrupt(await code { try await near.send(1) }))
        #expect(isCorrupt(await code { _ = try await near.receive() }))
        #expect(isCorrupt(await code { _ = try far.trySend(1) }))
        #expect(isCorrupt(await code { _ = try await near.call(1, timeout: .seconds(60)) }))
    }

    @Test func oneWhoWaitsLearnsOfTheCorruption() async throws {
        let (near, far) = try Channel<Int>.both()
        let waiting = Task { await code { _ = try await near.receive() } }
        try await near.send(1)
        near.core.memory.scribble(12345, at: 256)
        #expect(isCorrupt(await code { _ = try await far.receive() }))
        #expect(isCorrupt(await waiting.value))
    }

    @Test func aReferenceToAFileThatIsNotThereOrTooLargeIsCorrupt() async throws {
        for (offset, value) in [(24, 99), (32, 1 << 50), (32, 131_073)] as [(Int, UInt64)] {
            let (near, far) = try Channel<[UInt8]>.both()
            try await near.send([UInt8](repeating: 0, count: 70_000))
            near.core.memory.scribble(value, at: 4096 + offset)
            #expect(isCorrupt(await code { _ = try await far.receive() }))
        }
    }

    @Test func anyGarbageIsAnErrorAndNoCrash() async throws {
        for _ in 0..<300 {
            let (near, far) = try Channel<[UInt8]>.both { $0.ringBytes = 4096 }
            for _ in 0..<5 { try await near.send([UInt8](repeating: 1, count: .random(in: 0...200))) }
            _ = try? await near.send([1], passing: [0])
            for _ in 0..<3 {
                let offset = Bool.random() ? 256 + 8 * Int.random(in: 0..<128) : 4096 + 8 * Int.random(in: 0..<256)
                near.core.memory.scribble(
                    Bool.random() ? .random(in: 0 ... .max) : .random(in: 0..<1 << 34), at: offset)
            }
            for _ in 0..<50 where await code({ _ = try await far.receive(timeout: .zero) }) != nil { break }
            _ = try? near.trySend([UInt8](repeating: 1, count: 1000))
        }
    }

    @Test func aSocketThatIsShutIsCorruptAndNoEndlessLoop() async throws {
        let (near, far) = try Channel<[UInt8]>.both()
        try await near.send([UInt8](repeating: 0, count: 70_000))
        let socket = near.core.memory.socket(.messages, of: .peer)
        #expect(shutdown(socket, Int32(SHUT_RDWR)) == 0)
        while let packet = try withUnsafeTemporaryAllocation(byteCount: 8, alignment: 8, {
            try DescriptorPassing.receive(into: $0, from: socket)
        }), packet.byteCount > 0 {
            for number in packet.descriptors { closeDescriptor(number) }
        }
        #expect(isCorrupt(await code { _ = try await far.receive() }))
    }

    @Test func textThatIsNoUTF8IsRepairedInItsCopy() async throws {
        let (near, far) = try Channel<String>.both()
        for count in [0, 1, 15, 16, 8, 1_000, 5_000] {
            let text = String(repeating: "\u{E9}", count: count)
            #expect(text.utf8.withContiguousStorageIfAvailable { String(copying: UnsafeRawBufferPointer($0)) } == text)
            try await near.send(text)
            #expect(try await far.receive() == text)
        }
        let broken: [UInt8] = [0x61, 0xFF, 0x62] + Array(repeating: 0xC3, count: 30)
        #expect(broken.withUnsafeBytes { String(copying: $0) } == String(decoding: broken, as: UTF8.self))
        // In the ring, behind the record's three words.
        let (one, other) = try Channel<String>.both()
        try await one.send("abcdefgh")
        one.core.memory.scribble(0x6868_6868_FF68_6868, at: 4096 + 24)
        #expect(try await other.receive() == "hhh\u{FFFD}hhhh")
    }

    private let me = ProcessIdentity(pid: 10, startTime: 5)
    private let other = ProcessIdentity(pid: 11, startTime: 6)

    @Test func anEndIsFreeForOneWhenItsOwnerIsDeadOrHasClosed() {
        var record = EndRecord(owner: nil, generation: 0, closedGeneration: 0)
        #expect(record.attachment(of: me) { _ in true } == .take(generation: 1))
        record = EndRecord(owner: other, generation: 3, closedGeneration: 0)
        #expect(record.attachment(of: me) { _ in true } == .inUse(pid: 11))
        #expect(record.attachment(of: me) { _ in false } == .take(generation: 4))
        record.closedGeneration = 2
        #expect(record.attachment(of: me) { _ in true } == .inUse(pid: 11))
        record.closedGeneration = 3
        #expect(record.isClosed)
        #expect(record.attachment(of: me) { _ in true } == .take(generation: 4))
    }

    @Test func anEndGoesToTheNextProcessOfItsSlotAndIsRefusedToOthers() {
        let (old, new) = (EndSlot(identity: 7, spawn: 1), EndSlot(identity: 7, spawn: 2))
        var record = EndRecord(owner: other, generation: 3, closedGeneration: 0, slot: old)
        #expect(record.attachment(of: me, new) { _ in true } == .wait)
        #expect(record.attachment(of: me, new) { _ in false } == .take(generation: 4))
        #expect(record.attachment(of: me, EndSlot(identity: 8, spawn: 2)) { _ in true } == .inUse(pid: 11))
        #expect(record.attachment(of: me) { _ in true } == .inUse(pid: 11))
        record = EndRecord(owner: me, generation: 4, closedGeneration: 0, slot: new)
        #expect(record.attachment(of: me, new) { _ in true } == .handedOver(generation: 4))
        // Left, and no process has come yet.
        record = EndRecord(owner: nil, generation: 4, closedGeneration: 0, slot: new, succeededBits: 1 << 4)
        #expect(record.attachment(of: me) { _ in true } == .take(generation: 5))
        // Who fills no slot has no successor.
        record = EndRecord(owner: other, generation: 3, closedGeneration: 0)
        #expect(record.attachment(of: me, new) { _ in true } == .inUse(pid: 11))
    }

    private let nobody = ClosedGenerations(bits: 0, newest: 5)
    private let fourth = ClosedGenerations(bits: 1 << 4, newest: 5)

    @Test func severalOrderlyEndsInARowAreNoDeaths() {
        let closed = ClosedGenerations(bits: 0b0110_0110, newest: 7)
        var history = PeerHistory(current: 1)
        #expect(history.advance(to: 7, closed: closed) == .died(3))
        #expect(history.advance(to: 7, closed: closed) == .died(4))
        #expect(history.advance(to: 7, closed: closed) == .goOn)
        // What is too long ago is not known.
        #expect(!ClosedGenerations(bits: .max, newest: 70).contains(6))
        #expect(ClosedGenerations(bits: .max, newest: 70).contains(7))
        #expect(!ClosedGenerations(bits: .max, newest: 70).contains(71))
    }

    @Test func aReceiverThatLooksLateIsToldOfNoDeathWhereAllHaveClosed() async throws {
        let (near, _) = try Channel<[UInt8]>.both()
        #expect(try near.tryReceive() == nil)
        // A hundred lives at the other end, played by as many ends over the same memory.
        for life in UInt8(1)...100 {
            let end = ChannelEnd(near.core.memory, .peer)
            try end.attach()
            if life <= 2 || life > 98 {
                #expect(try [life].withUnsafeBytes { try end.trySend(.bytes, $0, passing: []) } == nil)
            }
            end.close()
            if life == 2 { #expect(try near.tryReceive() == [1]) }
            if life == 60 { #expect(try near.tryReceive() == [2]) }
            if life == 60 { #expect(await code { _ = try near.tryReceive() } == .closed) }
        }
        #expect(try near.tryReceive() == [99])
        #expect(try near.tryReceive() == [100])
        #expect(await code { _ = try near.tryReceive() } == .closed)
    }

    @Test func everyDeathIsToldOnceBetweenTheMessagesOfTwoGenerations() {
        var history = PeerHistory(current: 0)
        #expect(history.advance(to: 1, closed: nobody) == .goOn)
        #expect(history.currentDied() == .died(1))
        #expect(history.currentDied() == .goOn)
        #expect(history.advance(to: 3, closed: nobody) == .died(2))
        #expect(history.advance(to: 3, closed: nobody) == .goOn)
        #expect(history.advance(to: 4, closed: nobody) == .died(3))
        #expect(history.advance(to: 4, closed: nobody) == .goOn)
        #expect(history.advance(to: 5, closed: fourth) == .goOn)
        #expect(history.advance(to: 4, closed: fourth) == .goOn)
    }

    @Test func `A generation that no process has reached is not counted up to`() {
        var history = PeerHistory(current: 1)
        let nobody = ClosedGenerations(bits: 0, newest: .max)
        var deaths = 0
        while deaths < 1_000, case .died = history.advance(to: .max, closed: nobody) { deaths += 1 }
        #expect(deaths <= 65)
    }

    @Test func theDeathsBeforeAReceiverCameAreNoNews() {
        var history = PeerHistory(current: 5)
        #expect(history.advance(to: 3, closed: nobody) == .goOn)
        #expect(history.advance(to: 5, closed: nobody) == .goOn)
        #expect(history.currentDied() == .died(5))
    }

    @Test func newsOfThePeerAreToldOnce() {
        var news = PeerNews()
        var record = EndRecord(owner: nil, generation: 0, closedGeneration: 0)
        #expect(news.advance(to: record, dead: 0) == [])
        record.generation = 1
        #expect(news.advance(to: record, dead: 0) == [.attached(generation: 1)])
        #expect(news.advance(to: record, dead: 1) == [.died(generation: 1)])
        #expect(news.advance(to: record, dead: 1) == [])
        record.generation = 3
        #expect(news.advance(to: record, dead: 1) == [.attached(generation: 3)])
        record.generation = 4
        #expect(news.advance(to: record, dead: 1) == [.died(generation: 3), .attached(generation: 4)])
        record.closedGeneration = 4
        #expect(news.advance(to: record, dead: 1) == [.closed])
        // The closed bit of one that was succeeded says that it has not died.
        record = EndRecord(
            owner: nil, generation: 7, closedGeneration: 0, closedBits: 1 << 7 | 1 << 8,
            succeededBits: 1 << 7 | 1 << 8)
        #expect(news.advance(to: record, dead: 1) == [.attached(generation: 7)])
        record.generation = 9
        #expect(news.advance(to: record, dead: 7) == [.succeeded(generation: 9)])
    }
}

extension ChannelMemory {
    /// Writes over the shared memory, as a hostile process would.
    func scribble(_ value: UInt64, at offset: Int) {
        UnsafeMutableRawPointer(word(0)).storeBytes(of: value, toByteOffset: offset, as: UInt64.self)
    }
}
