// Sending and receiving, both ends in one process.

import PreforkChannels
import PreforkEventLoop
import PreforkStore
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct ChannelTests {
    @Test func messagesArriveInTheOrderOfTheirSends() async throws {
        let (near, far) = try Channel<Int>.both()
        for number in 0..<100 { try await near.send(number) }
        for number in 0..<100 { #expect(try await far.receive() == number) }
        #expect(try far.tryReceive() == nil)
    }

    @Test func bothDirectionsWorkAtOnce() async throws {
        let (near, far) = try Channel<String>.both()
        try await near.send("there")
        try await far.send("and back")
        #expect(try await near.receive() == "and back")
        #expect(try await far.receive() == "there")
    }

    @Test func aMessageGoesByTheCodecOfItsChannel() async throws {
        let (near, far) = try Channel<Point>.both { $0.codec = PointCodec() }
        try await near.send(Point(x: 3, y: 4))
        #expect(try await far.receive() == Point(x: 3, y: 4))
        await #expect(throws: PointCodec.NotAPoint.self) { try await near.send(Point(x: -1, y: 0)) }
        #expect(try far.tryReceive() == nil)
    }

    @Test func aReceiverWaitsForItsMessage() async throws {
        let (near, far) = try Channel<String>.both()
        async let message = far.receive()
        try await EventLoop.sleep(for: .milliseconds(5))
        try await near.send("late")
        #expect(try await message == "late")
    }

    @Test func everyMessageGoesToOneOfManyReceiversOfAnEnd() async throws {
        let (near, far) = try Channel<Int>.both { $0.ringBytes = 4096 }
        let sum = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    var sum = 0
                    for try await number in far.messages { sum += number }
                    return sum
                }
            }
            group.addTask {
                for number in 1...5_000 { try await near.send(number) }
                near.close()
                return 0
            }
            return try await group.reduce(0, +)
        }
        #expect(sum == 5_000 * 5_001 / 2)
    }

    @Test func sendersOfOneEndEachKeepTheirOrder() async throws {
        let (near, far) = try Channel<Int>.both { $0.ringBytes = 4096 }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for sender in 0..<4 {
                group.addTask { for number in 0..<2_000 { try await near.send(sender * 1_000_000 + number) } }
            }
            var next = [0, 0, 0, 0]
            for _ in 0..<8_000 {
                let message = try await far.receive()
                #expect(next[message / 1_000_000] == message % 1_000_000)
                next[message / 1_000_000] += 1
            }
            try await group.waitForAll()
        }
    }

    @Test func aFullRingMakesTrySendSayNoAndSendWait() async throws {
        let (near, far) = try Channel<[UInt8]>.both { $0.ringBytes = 4096 }
        let message = [UInt8](repeating: 1, count: 1000)
        var sent = 0
        while try near.trySend(message) { sent += 1 }
        #expect(sent == 3 || sent == 4)
        #expect(await code { try await near.send(message, timeout: .milliseconds(5)) } == .timedOut)
        let sender = Task { try await near.send([2]) }
        // No message overtakes a waiting sender, however small it is.
        for _ in 0..<sent { _ = try await far.receive() }
        try await sender.value
        #expect(try await far.receive() == [2])
    }

    @Test func aSendThatWaitsCanBeCancelledAndHasThenSentNothing() async throws {
        let (near, far) = try Channel<[UInt8]>.both { $0.ringBytes = 4096 }
        while try near.trySend([UInt8](repeating: 1, count: 1000)) {}
        let sender = Task { try await near.send([UInt8](repeating: 2, count: 1000)) }
        try await EventLoop.sleep(for: .milliseconds(5))
        sender.cancel()
        await #expect(throws: CancellationError.self) { try await sender.value }
        while let message = try far.tryReceive() { #expect(message[0] == 1) }
        #expect(try near.trySend([3]))
        #expect(try await far.receive() == [3])
    }

    @Test func aReceiveThatWaitsCanBeCancelledAndTakesNothing() async throws {
        let (near, far) = try Channel<Int>.both()
        let receiver = Task { try await far.receive() }
        try await EventLoop.sleep(for: .milliseconds(5))
        receiver.cancel()
        await #expect(throws: CancellationError.self) { try await receiver.value }
        try await near.send(1)
        #expect(try await far.receive() == 1)
    }

    @Test func aReceiveEndsWithItsTimeout() async throws {
        let (near, far) = try Channel<Int>.both()
        #expect(await code { _ = try await far.receive(timeout: .milliseconds(5)) } == .timedOut)
        #expect(await code { _ = try await far.receive(timeout: .zero) } == .timedOut)
        try await near.send(1)
        #expect(try await far.receive(timeout: .zero) == 1)
    }

    @Test func bothRingsFullBothWaysDoNotBlockReceivers() async throws {
        let (near, far) = try Channel<[UInt8]>.both { $0.ringBytes = 4096 }
        let message = [UInt8](repeating: 1, count: 900)
        while try near.trySend(message) {}
        while try far.trySend(message) {}
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (from, to) in [(near, far), (far, near)] {
                group.addTask { for _ in 0..<500 { try await from.send(message) } }
                group.addTask { for _ in 0..<500 { _ = try await to.receive() } }
            }
            try await group.waitForAll()
        }
    }

    @Test func aLargeMessageTravelsWholeUpToTheLimit() async throws {
        let (near, far) = try Channel<[UInt8]>.both { $0.messageLimit = 8 << 20 }
        let message = (0..<8 << 20).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 12) }
        try await near.send([1])
        try await near.send(message)
        try await near.send([2])
        #expect(try await far.receive() == [1])
        #expect(try await far.receive() == message)
        #expect(try await far.receive() == [2])
        let code = await code { try await near.send(message + [0]) }
        #expect(code == .tooLarge(bytes: 8 << 20 + 1, limit: 8 << 20))
        #expect(try far.tryReceive() == nil)
    }

    @Test func manyLargeMessagesWaitForRoomBesideTheRing() async throws {
        let (near, far) = try Channel<[UInt8]>.both()
        let sender = Task {
            for number in 0..<1_000 { try await near.send(.init(repeating: UInt8(number & 255), count: 70_000)) }
        }
        for number in 0..<1_000 {
            let message = try await far.receive()
            #expect(message.count == 70_000 && message[69_999] == UInt8(number & 255))
        }
        try await sender.value
    }

    @Test func plainThreadsSendAndReceiveByBlocking() async throws {
        let (near, far) = try Channel<Int>.both { $0.ringBytes = 4096 }
        let sum = Log<Int>()
        try onThreads(
            { for number in 1...3_000 { try near.sendBlocking(number) } },
            { for _ in 0..<1_500 { sum.add(try far.receiveBlocking()) } },
            { for _ in 0..<1_500 { sum.add(try far.receiveBlocking(timeout: .seconds(60))) } })
        try await eventually("all are received") { sum.all.count == 3_000 }
        #expect(sum.all.reduce(0, +) == 3_000 * 3_001 / 2)
        #expect(await code { _ = try far.receiveBlocking(timeout: .milliseconds(3)) } == .timedOut)
    }

    @Test func aBlockingCallOnALoopIsRefused() async throws {
        let (near, far) = try Channel<Int>.both()
        let codes = try await onLoop {
            [await code { try near.sendBlocking(1) }, await code { _ = try far.receiveBlocking() }]
        }
        #expect(codes == [.onEventLoop, .onEventLoop])
    }

    @Test func endsOnLoopsAndOnThreadsWakeEachOther() async throws {
        let (near, far) = try Channel<Int>.both()
        try onThreads { for _ in 0..<2_000 { try far.sendBlocking(try far.receiveBlocking() + 1) } }
        try await onLoop {
            for number in 0..<2_000 {
                try await near.send(number)
                #expect(try await near.receive() == number + 1)
            }
        }
    }

    @Test func aChannelIsUsedFromOneLoopAfterAnother() async throws {
        let (near, far) = try Channel<Int>.both()
        for number in 0..<5 {
            let received = try await onLoop {
                let sender = Task {
                    try await EventLoop.sleep(for: .milliseconds(2))
                    try await near.send(number)
                }
                defer { withExtendedLifetime(sender) {} }
                return try await far.receive()
            }
            #expect(received == number)
        }
    }
}
