// What comes by a link may be anything.

import PreforkSystem
import Testing

@testable import PreforkEventLoop

@Suite struct HandoverPacketTests {
    private static let fields = HandoverFields(
        accepted: 5, written: 1 << 40, moves: 3, version: 7, hasReceived: true, listener: Array("127.0.0.1:80".utf8),
        protocolName: Array("stream".utf8), peer: SocketAddress.ipv4(0x7F00_0001, port: 9).kernelBytes,
        unread: [1, 2, 3], unsent: [], state: [0xA0])

    private func parse(_ bytes: [UInt8], now: Int64 = 10) -> HandoverFields? {
        bytes.withUnsafeBytes { HandoverFields($0, now: now) }
    }

    @Test func `Heads come back as they were written`() throws {
        for packet in [
            HandoverPacket(.hello), HandoverPacket(.offer, detail: 1, number: 1),
            HandoverPacket(.taken, number: .max), HandoverPacket(.refused, detail: 7, number: 2),
        ] {
            #expect(try packet.bytes.withUnsafeBytes { try HandoverPacket($0) } == packet)
            #expect(packet.bytes.count == HandoverPacket.byteCount)
        }
    }

    @Test func `Another version is told from what is malformed`() {
        var bytes = HandoverPacket(.taken, number: 1).bytes
        bytes[4] = 2
        #expect(throws: HandoverPacket.Defect.otherVersion) { try bytes.withUnsafeBytes { try HandoverPacket($0) } }
        for (index, value) in [(0, UInt8(0)), (6, 0), (6, 9)] {
            var bytes = HandoverPacket(.taken, number: 1).bytes
            bytes[index] = value
            #expect(throws: HandoverPacket.Defect.malformed) { try bytes.withUnsafeBytes { try HandoverPacket($0) } }
        }
        #expect(throws: HandoverPacket.Defect.malformed) {
            try HandoverPacket(.hello, number: 1).bytes.withUnsafeBytes { try HandoverPacket($0) }
        }
        for count in 0..<16 {
            #expect(throws: (any Error).self) {
                try HandoverPacket(.hello).bytes.prefix(count).withUnsafeBytes { try HandoverPacket($0) }
            }
        }
    }

    @Test func `Fields come back as they were written`() {
        #expect(parse(Self.fields.bytes) == Self.fields)
        #expect(SocketAddress(kernelBytes: Self.fields.peer) == .ipv4(0x7F00_0001, port: 9))
    }

    @Test func `Every part of the fields is refused without the rest, and with more`() {
        let bytes = Self.fields.bytes
        for count in bytes.indices { #expect(parse(Array(bytes.prefix(count))) == nil) }
        #expect(parse(bytes + [0]) == nil)
    }

    @Test func `Fields out of their ranges are refused`() {
        #expect(parse(Self.fields.bytes, now: 4) == nil, "accepted in the future")
        var flags = Self.fields.bytes
        flags[24] = 2
        #expect(parse(flags) == nil)
        var long = Self.fields
        long.listener = Array(repeating: 65, count: 257)
        #expect(parse(long.bytes) == nil && !long.isWithinLimits)
        long = Self.fields
        long.state = Array(repeating: 0, count: HandoverFields.mostBytes - 3)
        #expect(parse(long.bytes) == long && long.isWithinLimits)
        long.unsent = [1]
        #expect(parse(long.bytes) == nil && !long.isWithinLimits)
    }

    @Test func `Arbitrary bytes never do more than to be refused`() {
        var random = SplitMix64(seed: 22)
        for _ in 0..<20_000 {
            var bytes = Self.fields.bytes
            for _ in 0..<3 {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            if let fields = parse(bytes, now: .max) { #expect(fields.isWithinLimits) }
        }
    }
}

@Suite struct HandoverSenderTests {
    private func answer(_ kind: HandoverPacket.Kind, _ number: UInt64, _ detail: UInt8 = 0) -> HandoverPacket {
        HandoverPacket(kind, detail: detail, number: number)
    }

    @Test func `Nothing is offered before the other side has greeted, and 64 at a time after it`() {
        var sender = HandoverSender()
        #expect(sender.room == 0)
        #expect(sender.received(answer(.hello, 0)) == .hello)
        for _ in 0..<64 { sender.offered() }
        #expect(sender.room == 0)
        #expect(sender.received(answer(.taken, 3)) == .taken(3))
        #expect(sender.room == 1 && sender.nextNumber == 65)
    }

    @Test func `An answer counts once, and only for what was offered`() {
        var sender = HandoverSender()
        _ = sender.received(answer(.hello, 0))
        sender.offered()
        #expect(sender.received(answer(.taken, 2)) == .violation)
        #expect(sender.received(answer(.taken, 1)) == .taken(1))
        #expect(sender.received(answer(.taken, 1)) == .violation)
        #expect(sender.received(answer(.hello, 0)) == .violation)
        #expect(sender.received(answer(.offer, 1)) == .violation)
    }

    @Test func `What has no answer at the end comes back`() {
        var sender = HandoverSender(most: 5)
        _ = sender.received(answer(.hello, 0))
        for _ in 0..<4 { sender.offered() }
        #expect(sender.received(answer(.refused, 2, HandoverRefusal.state.rawValue)) == .refused(2, .state))
        #expect(sender.left == 2, "one more may move in its place")
        #expect(sender.received(answer(.refused, 3, 200)) == .violation)
        _ = sender.received(answer(.taken, 3))
        #expect(sender.end() == [1, 4])
        #expect(sender.end() == [] && sender.room == 0)
    }
}
