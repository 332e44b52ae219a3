// Request and reply, and descriptors.

import PreforkChannels
import PreforkEventLoop
import PreforkStore
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct ChannelCallTests {
    @Test func aCallIsAnsweredByTheHandlerOfTheOtherEnd() async throws {
        let (near, far) = try Channel<Int>.both()
        try far.onCall { $0 * 2 }
        for number in 0..<100 { #expect(try await near.call(number, timeout: .seconds(60)) == number * 2) }
    }

    @Test func manyCallsAtOnceEachGetTheirOwnAnswer() async throws {
        let (near, far) = try Channel<String>.both { $0.ringBytes = 4096 }
        try far.onCall { text in
            if text.hashValue % 3 == 0 { await Task.yield() }
            return text + "!"
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<500 {
                group.addTask {
                    let answer = try await near.call("\(number)", timeout: .seconds(60))
                    #expect(answer == "\(number)!")
                }
            }
            try await group.waitForAll()
        }
    }

    @Test func bothEndsMayCallAtOnce() async throws {
        let (near, far) = try Channel<Int>.both()
        try near.onCall { $0 + 1 }
        try far.onCall { $0 - 1 }
        async let one = near.call(10, timeout: .seconds(60))
        async let other = far.call(10, timeout: .seconds(60))
        #expect(try await (one, other) == (9, 11))
    }

    @Test func anErrorOfTheHandlerIsTheCallersError() async throws {
        let (near, far) = try Channel<Int>.both()
        try far.onCall { _ in throw HandlerError() }
        #expect(await code { _ = try await near.call(1, timeout: .seconds(60)) } == .callFailed("HandlerError()"))
    }

    @Test func anEndThatAnswersNoCallsRefusesThem() async throws {
        let (near, far) = try Channel<Int>.both()
        let receiver = Task { try await far.receive() }
        let refusal = await code { _ = try await near.call(1, timeout: .seconds(60)) }
        #expect(refusal == .callFailed("no handler answers calls at this end"))
        try await near.send(2)
        #expect(try await receiver.value == 2)
    }

    @Test func callsAndMessagesKeepTheirOrderInActiveMode() async throws {
        let (near, far) = try Channel<String>.both()
        try await near.send("first")
        let calling = Task { try await near.call("second", timeout: .seconds(60)) }
        try await EventLoop.sleep(for: .milliseconds(5))
        try await near.send("third")
        // A receiver that wants the message behind the call waits until another one has taken the call.
        let receiving = Task { [try await far.receive(), try await far.receive()] }
        let call = try await far.receiveCall()
        #expect(call.message == "second")
        try await call.reply("answer")
        #expect(try await calling.value == "answer")
        #expect(try await receiving.value == ["first", "third"])
    }

    @Test func aLateAnswerIsThrownAwayAndTheNextCallGetsItsOwn() async throws {
        let (near, far) = try Channel<Int>.both()
        let first = Task { await code { _ = try await near.call(1, timeout: .milliseconds(10)) } }
        let late = try await far.receiveCall()
        #expect(await first.value == .timedOut)
        try await late.reply(100)
        let second = Task { try await near.call(2, timeout: .seconds(60)) }
        let call = try await far.receiveCall()
        try await call.reply(200)
        try await call.reply(201)
        #expect(try await second.value == 200)
    }

    @Test func moreLateAnswersThanTheirRingHoldsBlockNobody() async throws {
        let (near, far) = try Channel<Int>.both()
        // The ring of the answers has a quarter of the bytes that the calls' has.
        let count = 1_000
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<count {
                group.addTask {
                    #expect(await code { _ = try await near.call(number, timeout: .milliseconds(1)) } == .timedOut)
                }
            }
            try await group.waitForAll()
        }
        for number in 0..<count { try await far.receiveCall().reply(number) }
        let next = Task { try await near.call(7, timeout: .seconds(60)) }
        try await far.receiveCall().reply(8)
        #expect(try await next.value == 8)
    }

    @Test func aFailedCallTellsWhy() async throws {
        let (near, far) = try Channel<Int>.both()
        let calling = Task { await code { _ = try await near.call(1, timeout: .seconds(60)) } }
        try await far.receiveCall().fail("not today")
        #expect(await calling.value == .callFailed("not today"))
    }

    @Test func largeAnswersTravelToo() async throws {
        let (near, far) = try Channel<[UInt8]>.both()
        try far.onCall { $0 + $0 }
        let half = [UInt8](repeating: 5, count: 100_000)
        #expect(try await near.call(half, timeout: .seconds(60)) == half + half)
    }

    @Test func closingEndsCalls() async throws {
        let (near, far) = try Channel<Int>.both()
        let calling = Task { await code { _ = try await near.call(1, timeout: .seconds(60)) } }
        _ = try await far.receiveCall()
        far.close()
        #expect(await calling.value == .closed)
    }

    @Test func descriptorsTravelWithAMessage() async throws {
        let (near, far) = try Channel<String>.both()
        let pipe = try makePipe()
        try await near.send("take this", passing: [pipe.writing])
        closeDescriptor(pipe.writing)
        var passed: Channel<String>.Passed? = try await far.receivePassed()
        #expect(passed?.message == "take this")
        let number = try #require(passed?.descriptors.first?.number)
        let written = try [UInt8(7)].withUnsafeBytes { try writeBytes(to: number, $0) }
        #expect(written == 1)
        // Forgotten, it is closed: the reader then sees the end.
        passed = nil
        var byte: UInt8 = 0
        let first = try withUnsafeMutableBytes(of: &byte) { try readBytes(from: pipe.reading, into: $0) }
        let second = try withUnsafeMutableBytes(of: &byte) { try readBytes(from: pipe.reading, into: $0) }
        #expect(first == .bytes(1) && second == .end)
        closeDescriptor(pipe.reading)
    }

    @Test func aTakenDescriptorIsTheTakersToClose() async throws {
        let (near, far) = try Channel<Int>.both()
        let pipe = try makePipe()
        try await near.send(1, passing: [pipe.reading, pipe.writing])
        let passed = try await far.receivePassed()
        #expect(passed.descriptors.count == 2)
        let taken = try #require(passed.descriptors[0].take())
        #expect(passed.descriptors[0].take() == nil && passed.descriptors[0].number == nil)
        for number in [taken, pipe.reading, pipe.writing] { closeDescriptor(number) }
    }

    @Test func aLargeMessageWithManyDescriptorsArrives() async throws {
        let (near, far) = try Channel<[UInt8]>.both()
        let pipe = try makePipe()
        let message = [UInt8](repeating: 3, count: 300_000)
        try await near.send(message, passing: Array(repeating: pipe.reading, count: 252))
        try await near.send([1], passing: Array(repeating: pipe.reading, count: 253))
        let passed = try await far.receivePassed()
        #expect(passed.message == message && passed.descriptors.count == 252)
        #expect(try await far.receivePassed().descriptors.count == 253)
        let tooMany = Array(repeating: pipe.reading, count: 253)
        #expect(
            await code { try await near.send(message, passing: tooMany) } == .tooManyDescriptors(count: 253, limit: 252)
        )
        #expect(
            await code { try await near.send([1], passing: tooMany + [0]) }
                == .tooManyDescriptors(count: 254, limit: 253))
        for number in [pipe.reading, pipe.writing] { closeDescriptor(number) }
    }

    @Test func aPlainReceiveClosesWhatWasPassed() async throws {
        let (near, far) = try Channel<Int>.both()
        let pipe = try makePipe()
        try await near.send(1, passing: [pipe.writing])
        try await near.send(2)
        closeDescriptor(pipe.writing)
        #expect(try await far.receive() == 1)
        #expect(try await far.receivePassed().descriptors.isEmpty)
        var byte: UInt8 = 0
        let outcome = try withUnsafeMutableBytes(of: &byte) { try readBytes(from: pipe.reading, into: $0) }
        #expect(outcome == .end)
        closeDescriptor(pipe.reading)
    }

    @Test func aDescriptorThatIsNotOpenIsTheSendersError() async throws {
        let (near, far) = try Channel<Int>.both()
        let code = await code { try await near.send(1, passing: [9_999]) }
        guard case .system(let error) = code else {
            Issue.record("\(code as Any)")
            return
        }
        #expect(error.errno == .badDescriptor)
        try await near.send(2)
        #expect(try await far.receive() == 2)
    }
}
