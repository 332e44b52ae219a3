// A second process at an end, played by a second end over the same memory.

import PreforkStore
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkChannels

@Suite(.timeLimit(.minutes(2)))
struct ChannelSuccessionTests {
    @Test func whatIsDroppedLeavesRoomBesideTheRing() async throws {
        let (near, far) = try Channel<Int>.both { $0.undelivered = .drop }
        #expect(try far.tryReceive() == nil)
        let pipe = try makePipe()
        defer { for number in [pipe.reading, pipe.writing] { closeDescriptor(number) } }
        // Until the socket is full. The ring holds more.
        var count = 0
        while try near.trySend(count, passing: [pipe.reading]) == nil { count += 1 }
        #expect(near.core.memory.ring(.messages, from: .creator).hasRoom(for: 1000))
        far.close()
        let successor = ChannelEnd(near.core.memory, .peer)
        try successor.attach()
        for number in 0..<count { #expect(try near.trySend(number, passing: [pipe.reading]) == nil, "\(number)") }
        // The packets of the new records are all there.
        for _ in 0..<count { #expect(try successor.takeMessage(unlessStopping: false) { _, _, _ in }) }
        #expect(try !successor.takeMessage(unlessStopping: false) { _, _, _ in })
    }

    @Test(arguments: [true, false]) func aCallDoesNotWaitForASuccessorsReply(isCalleeThere: Bool) async throws {
        let (near, far) = try Channel<Int>.both()
        if isCalleeThere { try far.attach() }
        let outcome = try await onLoop {
            async let outcome = code { _ = try await near.call(1, timeout: .seconds(60)) }
            try await eventually("the call waits") { !near.end.waiters.isEmpty }
            // In one turn of the loop, so that the call sees the successor only.
            far.close()
            try ChannelEnd(near.core.memory, .peer).attach()
            return await outcome
        }
        #expect(outcome == .peerDied(generation: 1))
    }

    @Test func aLookBeforeAWaitLeavesTheDeathToTheReceiver() throws {
        let (near, far) = try Channel<Int>.both()
        // Dead as soon as it has come: there are no process IDs above 2^22 (proc(5), pid_max).
        let nobody = ProcessIdentity(pid: 1 << 23, startTime: 1)
        #expect(try near.core.memory.attach(nobody, to: .peer) { _, _ in 0 } == .isHere(generation: 1))
        #expect(try near.tryReceive() == nil)
        #expect(try far.trySend(7))
        #expect(!near.end.mustWaitToReceive(.message))
        let error = #expect(throws: ChannelError.self) { try near.tryReceive() }
        #expect(error?.code == .peerDied(generation: 1))
        #expect(try near.tryReceive() == 7)
    }

    @Test func `A callee that stops answers what it has taken, and other calls fail at once`() async throws {
        let (near, far) = try Channel<Int>.both()
        let (answer, waiting, late) = try await onLoop {
            async let answer = near.call(1, timeout: .seconds(60))
            let call = try await far.receiveCall()
            async let waiting = code { _ = try await near.call(2, timeout: .seconds(60)) }
            let ring = near.core.memory.ring(.messages, from: .creator)
            try await eventually("the second call waits to be taken") { !ring.isEmpty }
            far.end.announceStop()
            let codes = (await waiting, await code { _ = try await near.call(3, timeout: .seconds(60)) })
            try await call.reply(10)
            return (try await answer, codes.0, codes.1)
        }
        #expect(answer == 10)
        #expect(waiting == .peerStopping(generation: 1) && late == .peerStopping(generation: 1))
        // Another one may come, which has calls of its own to answer.
        far.close()
        let successor = ChannelEnd(near.core.memory, .peer)
        try successor.attach()
        #expect(!near.core.memory.isStopping(.peer))
        #expect(try successor.takeCopy(.call) == nil, "nobody waits for the second call any more")
    }

    @Test func `Only a send that has to wait fails when the receiver stops`() async throws {
        let (near, far) = try Channel<Int>.both { $0.ringBytes = 4096 }
        try far.attach()
        far.end.announceStop()
        var count = 0
        while try near.trySend(count) { count += 1 }
        #expect(count > 0)
        #expect(await code { try await near.send(count) } == .peerStopping(generation: 1))
        for number in 0..<count { #expect(try far.tryReceive() == number) }
    }
}
