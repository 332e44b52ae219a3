// Active and passive mode, closing, names.

import Glibc
import PreforkEventLoop
import PreforkStore
import PreforkTestSupport
import Synchronization
import Testing

@testable import PreforkChannels

struct HandlerError: Error {}

@Suite(.timeLimit(.minutes(2)))
struct ChannelModeTests {
    @Test func callbacksRunInTheOrderOfRegistrationEachForWhatItsFilterAccepts() async throws {
        let (near, far) = try Channel<Int>.both()
        let log = Log<String>()
        try far.onReceive { log.add("all \($0)") }
        try far.onReceive(where: { $0 % 2 == 0 }) { log.add("even \($0)") }
        try far.onReceive(where: { number in
            await Task.yield()
            return number > 2
        }) { number in
            try await EventLoop.sleep(for: .milliseconds(1))
            log.add("large \(number)")
        }
        for number in 1...4 { try await near.send(number) }
        try await eventually("all are handled") { log.all.count == 8 }
        #expect(log.all == ["all 1", "all 2", "even 2", "all 3", "large 3", "all 4", "even 4", "large 4"])
    }

    @Test func whatACallbackThrowsGoesToTheHookAndStopsNothing() async throws {
        let (near, far) = try Channel<Int>.both()
        let log = Log<Int>()
        let errors = Log<String>()
        try far.onError { errors.add("\($0)") }
        try far.onReceive { _ in throw HandlerError() }
        try far.onReceive { log.add($0) }
        for number in 1...3 { try await near.send(number) }
        try await eventually("all are handled") { log.all == [1, 2, 3] }
        #expect(errors.all == Array(repeating: "HandlerError()", count: 3))
    }

    @Test func aMessageThatCannotBeReadGoesToTheHook() async throws {
        let (near, far) = try Channel<Point>.both { $0.codec = PointCodec() }
        let errors = Log<String>()
        let log = Log<Point>()
        try far.onError { errors.add("\($0)") }
        try far.onReceive { log.add($0) }
        // The same rings, by a handle that sends another type.
        try await Channel<String>(near.core, isOpposite: false).send("no point")
        try await near.send(Point(x: 1, y: 2))
        try await eventually("the good one is handled") { log.all == [Point(x: 1, y: 2)] }
        #expect(errors.all.count == 1)
    }

    @Test func aCancelledCallbackIsNotCalledAndTheLastOneLeavesTheMessages() async throws {
        let (near, far) = try Channel<Int>.both()
        let log = Log<String>()
        let first = try far.onReceive { log.add("first \($0)") }
        let second = try far.onReceive { log.add("second \($0)") }
        try await near.send(1)
        try await eventually("handled") { log.all.count == 2 }
        first.cancel()
        try await near.send(2)
        try await eventually("handled") { log.all.count == 3 }
        second.cancel()
        second.cancel()
        try await near.send(3)
        try far.onReceive { log.add("third \($0)") }
        try await eventually("handled") { log.all.last == "third 3" }
        #expect(log.all == ["first 1", "second 1", "second 2", "third 3"])
    }

    /// Messages come while callbacks are cancelled and others take their place, on a thread that is not the loop's.
    @Test func noMessageIsLostBetweenTheLastCallbackAndTheNext() async throws {
        let (near, far) = try Channel<Int>.both()
        let log = Log<Int>()
        let sending = Task { for number in 0..<2_000 { try await near.send(number) } }
        var current = try far.onReceive { log.add($0) }
        while log.all.count < 2_000 {
            current.cancel()
            await Task.yield()
            current = try far.onReceive { log.add($0) }
            let before = log.all.count
            try await eventually("it goes on") { log.all.count > before || before == 2_000 }
        }
        try await sending.value
        #expect(log.all == Array(0..<2_000))
    }

    @Test func callbacksThatSendToEachOtherMoreThanTheRingsHoldDoNotBlockEachOther() async throws {
        let (near, far) = try Channel<[UInt8]>.both { $0.ringBytes = 4096 }
        let log = Log<Int>()
        // Each message is answered by two smaller ones, of up to 900 bytes: 2^10 - 1 in all.
        for (end, name) in [(near, 0), (far, 1)] {
            try end.onReceive { message in
                log.add(name)
                if message.count >= 100 {
                    for _ in 0..<2 { try await end.send([UInt8](repeating: 0, count: message.count - 100)) }
                }
            }
        }
        try await near.send([UInt8](repeating: 0, count: 900))
        try await eventually("all are answered") { log.all.count == 1023 }
    }

    @Test func whatASendTakesEarlyIsNewsForTheServer() async throws {
        let (near, far) = try Channel<Int>.both()
        // The mode without the server, which is the one to be told.
        try far.end.attach()
        far.end.receiving.withLock { $0.mode = .passive }
        try await near.send(1)
        let epoch = far.end.waiters.epoch
        #expect(far.end.spill())
        #expect(far.end.waiters.epoch != epoch)
        #expect(try far.end.takePassive()?.0.type == .message)
        #expect(try far.end.takePassive() == nil)
    }

    @Test func whatWasTakenEarlyComesOutInOrder() {
        var inbox = EarlyInbox()
        var next: UInt64 = 0
        for id in UInt64(0)..<1_000 {
            inbox.append((ByteRingHeader(type: .message, id: id), nil))
            if id % 3 > 0 {
                #expect(inbox.popFirst()?.0.id == next)
                next += 1
            }
        }
        #expect(!inbox.hasRoom(limit: 24 * (999 - Int(next))) && inbox.hasRoom(limit: 24 * (1_000 - Int(next))))
        while let (header, _) = inbox.popFirst() {
            #expect(header.id == next)
            next += 1
        }
        #expect(next == 1_000 && inbox.hasRoom(limit: 0))
    }

    @Test func theFirstUseOfAnEndDecidesItsMode() async throws {
        let (near, far) = try Channel<Int>.both()
        #expect(try near.tryReceive() == nil)
        #expect(await code { try near.onReceive { _ in } } == .modeConflict)
        #expect(await code { try near.onCall { $0 } } == .modeConflict)
        // The other end is another end.
        try far.onReceive { _ in }
        #expect(await code { _ = try await far.receive() } == .modeConflict)
        #expect(await code { _ = try far.tryReceive() } == .modeConflict)
        #expect(await code { _ = try await far.receiveCall() } == .modeConflict)
    }

    @Test func theOtherEndReceivesAllThatWasSentAndThenTheEnd() async throws {
        let (near, far) = try Channel<[UInt8]>.both()
        for number in 0..<100 { try await near.send([UInt8(number)]) }
        try await near.send([UInt8](repeating: 1, count: 100_000))
        near.close()
        near.close()
        var count = 0
        for try await _ in far.messages { count += 1 }
        #expect(count == 101)
        #expect(await code { _ = try await far.receive() } == .closed)
        #expect(await code { try await far.send([1]) } == .closed)
        #expect(await code { _ = try far.trySend([1]) } == .closed)
        #expect(await code { try await near.send([1]) } == .closed)
        #expect(await code { _ = try await near.receive() } == .closed)
    }

    @Test func closingEndsWhatWaitsAtBothEnds() async throws {
        let (near, far) = try Channel<[UInt8]>.both { $0.ringBytes = 4096 }
        while try far.trySend([UInt8](repeating: 1, count: 1000)) {}
        while try near.tryReceive() != nil {}
        while try near.trySend([UInt8](repeating: 1, count: 1000)) {}
        let sender = Task { await code { try await near.send([UInt8](repeating: 1, count: 1000)) } }
        let ours = Task { await code { _ = try await near.receive() } }
        let thread = Log<ChannelError.Code?>()
        let parts = (near, far)
        try onThreads {
            do { _ = try parts.0.receiveBlocking() } catch { thread.add((error as? ChannelError)?.code) }
        }
        try await EventLoop.sleep(for: .milliseconds(10))
        near.close()
        #expect(await sender.value == .closed)
        #expect(await ours.value == .closed)
        try await eventually("the thread is told") { thread.all == [.closed] }
        while await code({ _ = try await far.receive() }) == nil {}
        #expect(await code { _ = try await far.receive() } == .closed)
    }

    @Test func peersHearOfClosing() async throws {
        let (near, far) = try Channel<Int>.both()
        let events = Log<ChannelPeerEvent>()
        #expect(near.peerGeneration == nil)
        try near.onPeer { events.add($0) }
        _ = try far.tryReceive()
        try await eventually("attached") { events.all == [.attached(generation: 1)] }
        #expect(near.peerGeneration == 1)
        far.close()
        try await eventually("closed") { events.all == [.attached(generation: 1), .closed] }
    }

    @Test func onlyTheLoopOnWhichSomebodyAskedTellsThem() async throws {
        let (near, far) = try Channel<Int>.both()
        let (events, isRegistered) = (Log<ChannelPeerEvent>(), Log<Bool>())
        let mayGoOn = Atomic(false)
        async let observing: Void = onLoop {
            let loop = try #require(EventLoop.current)
            try near.onPeer { event in
                #expect(loop.isCurrent)
                events.add(event)
            }
            isRegistered.add(true)
            // Busy, so that the other loop hears of it first.
            while !mayGoOn.load(ordering: .acquiring) { sched_yield() }
            try await eventually("told") { !events.all.isEmpty }
        }
        // Before the end of the loop's thread is waited for.
        defer { mayGoOn.store(true, ordering: .releasing) }
        try await eventually("registered") { !isRegistered.all.isEmpty }
        async let receiving = onLoop { try await near.receive() }
        try await eventually("it waits") { !near.end.waiters.isEmpty }
        #expect(try far.trySend(1))
        #expect(try await receiving == 1)
        #expect(events.all.isEmpty)
        mayGoOn.store(true, ordering: .releasing)
        try await observing
        #expect(events.all == [.attached(generation: 1)])
    }

    @Test func aChannelIsFoundByItsName() async throws {
        let name = uniqueName()
        let channel = try Channel<Int>(name: name)
        #expect(Channel.names.contains(name))
        try await Channel<Int>.named(name).send(5)
        #expect(try await channel.opposite.receive() == 5)
        #expect(await code { _ = try Channel<String>.named(name) } == .wrongMessageType(found: "Int", asked: "String"))
        #expect(await code { _ = try Channel<Int>(name: name) } == .duplicateName)
        #expect(await code { _ = try Channel<Int>.named("nobody") } == .unknownName)
        channel.unregister()
        #expect(await code { _ = try Channel<Int>.named(name) } == .unknownName)
        try await channel.send(6)
        _ = try Channel<Int>(name: name)
    }

    @Test func aNameIsFreeWhenNobodyHoldsItsChannel() throws {
        let name = uniqueName()
        for _ in 0..<3 { _ = try Channel<Int>(name: name) }
        #expect(!Channel.names.contains(name))
    }

    @Test func aChannelTravelsThroughAChannelAsAReference() async throws {
        struct ReferenceCodec: ValueCodec {
            var identifier: UInt8 { 201 }
            func encode<Value: Encodable>(_ value: Value) throws -> [UInt8] {
                Array((value as! ChannelReference<String>).name.utf8)
            }
            func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws -> Value {
                ChannelReference(try Channel<String>.named(String(decoding: bytes, as: UTF8.self))) as! Value
            }
        }
        let (near, far) = try Channel<ChannelReference<String>>.both { $0.codec = ReferenceCodec() }
        let answers = try Channel<String>(name: uniqueName("answers"))
        try await near.send(answers.reference)
        try await far.receive().channel().send("hello")
        #expect(try await answers.opposite.receive() == "hello")
    }

    @Test func optionsThatMakeNoSenseAreRefused() async throws {
        for bytes in [0, -1, 1 << 40] {
            var options = ChannelOptions()
            options.ringBytes = bytes
            #expect(
                await code { _ = try Channel<Int>(name: uniqueName(), options) }
                    == .badArgument("a ring of \(bytes) bytes is not within 1 byte to 1 GiB"))
        }
        var options = ChannelOptions()
        options.messageLimit = 0
        #expect(
            await code { _ = try Channel<Int>(name: uniqueName(), options) }
                == .badArgument("a message limit of 0 bytes is not within 1 byte to 4 GiB"))
    }

    @Test func aDeliverHasTheTwoChannelsOfItsProcess() async throws {
        let name = uniqueName("nonebot")
        #expect(await code { _ = try ChannelDeliver<String>.current } == .unknownName)
        let deliver = try ChannelDeliver<String>(process: name)
        #expect(deliver.active.name == "\(name)-active" && deliver.passive.name == "\(name)-passive")
        deliver.enter()
        #expect(try ChannelDeliver<String>.current.process == name)
        try await ChannelDeliver<String>.current.active.send("x")
        #expect(try await Channel<String>.named("\(name)-active").opposite.receive() == "x")
        #expect(await code { _ = try ChannelDeliver<Int>.current } != nil)
    }
}
