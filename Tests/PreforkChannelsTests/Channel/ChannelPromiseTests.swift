// Calls and sends to a dead process whose supervisor has promised another one in its place, or has not.

import PreforkStore
import PreforkSystem
import PreforkTestSupport
import Synchronization
import Testing

@testable import PreforkChannels

/// A supervisor's promises, with a slot of its own.
private final class Promises: @unchecked Sendable {
    // Sendable: atomic words.
    private static let lastSlot = Atomic<UInt64>(1 << 50)
    private let bytes = UnsafeMutableRawBufferPointer.allocate(
        byteCount: SlotPromises.byteCount(capacity: 4), alignment: 8)
    let table: SlotPromises
    let slot = Promises.lastSlot.add(1, ordering: .relaxed).newValue

    init(by supervisor: ProcessIdentity = .current) {
        bytes.initializeMemory(as: UInt8.self, repeating: 0)
        table = SlotPromises(at: bytes.baseAddress!, capacity: 4)
        table.begin(as: supervisor)
        SlotPromises.watch(table)
    }

    deinit {
        SlotPromises.forget(table)
        bytes.deallocate()
    }

    func make(from spawn: UInt64 = 1) { table.make(slot, from: spawn, isWorker: true) }
    func end() { table.end(slot) }

    /// A process of the slot comes to the other end and is dead: there are no process IDs above 2^22 (proc(5)).
    func die<Message>(at channel: Channel<Message>, spawn: UInt64 = 3) throws {
        let nobody = ProcessIdentity(pid: 1 << 23, startTime: 1)
        let slot = EndSlot(identity: slot, spawn: spawn)
        #expect(try channel.core.memory.attach(nobody, slot, to: .peer) { _, _ in 0 } == .isHere(generation: 1))
    }
}

@Suite(.timeLimit(.minutes(2))) struct ChannelPromiseTests {
    /// - Returns: what becomes of a call that the dead process had not taken, and of one after the death is known.
    private func calls(
        _ near: Channel<Int>, until: @escaping @Sendable () async throws -> Void
    ) async throws -> (queued: ChannelError.Code?, next: ChannelError.Code?) {
        try await onLoop {
            async let queued = code { _ = try await near.call(1, timeout: .seconds(60)) }
            try await eventually("the death is known") { near.end.isDead(1) }
            async let next = code { _ = try await near.call(2, timeout: .seconds(60)) }
            try await until()
            return await (queued, next)
        }
    }

    @Test func `Calls that a dead process had not taken, and later ones, are its successor's`() async throws {
        let (near, far) = try Channel<Int>.both()
        let promises = Promises()
        promises.make()
        try promises.die(at: near)
        let outcome = try await calls(near) {
            for number in 1...2 {
                let call = try await far.receiveCall()
                #expect(call.message == number)
                try await call.reply(-number)
            }
        }
        #expect(outcome == (nil, nil))
    }

    @Test func `Calls that wait for a successor fail when none is to come any more`() async throws {
        let (near, far) = try Channel<Int>.both()
        let promises = Promises()
        promises.make()
        try promises.die(at: near)
        let outcome = try await calls(near) {
            try await eventually("both wait") { near.end.waiters.withState { $0.entries.count == 2 } }
            promises.end()
        }
        #expect(outcome == (.peerDied(generation: 1), .peerDied(generation: 1)))
        try far.answerCallsNow()
        #expect(try far.end.takeCopy(.call) == nil, "nobody waits for the first call any more")
    }

    @Test(arguments: [nil, 4]) func `Without a promise, and by one that is for later processes, a call fails`(
        spawn: UInt64?
    ) async throws {
        let (near, far) = try Channel<Int>.both()
        let promises = Promises()
        if let spawn { promises.make(from: spawn) }
        try promises.die(at: near, spawn: 3)
        let outcome = try await calls(near) {
            guard spawn != nil else { return }
            // Only the second one is for the successor: the slot is filled again, after it had been given up.
            let call = try await far.receiveCall()
            #expect(call.message == 2)
            try await call.reply(-2)
        }
        #expect(outcome.queued == .peerDied(generation: 1))
        #expect(outcome.next == (spawn == nil ? .peerDied(generation: 1) : nil))
    }

    @Test func `The promises of a supervisor that has ended are none`() async throws {
        let (near, _) = try Channel<Int>.both()
        let promises = Promises(by: ProcessIdentity(pid: 1 << 23, startTime: 1))
        promises.make()
        try promises.die(at: near)
        let outcome = try await calls(near) {}
        #expect(outcome == (.peerDied(generation: 1), .peerDied(generation: 1)))
    }

    @Test func `Where messages are dropped, only the call after the death waits`() async throws {
        let (near, far) = try Channel<Int>.both { $0.undelivered = .drop }
        let promises = Promises()
        promises.make()
        try promises.die(at: near)
        let outcome = try await calls(near) {
            let call = try await far.receiveCall()
            #expect(call.message == 2)
            try await call.reply(-2)
        }
        #expect(outcome == (.peerDied(generation: 1), nil))
    }

    @Test(arguments: [true, false]) func `A send waits for room that a successor makes`(comes: Bool) async throws {
        let (near, far) = try Channel<Int>.both { $0.ringBytes = 4096 }
        let promises = Promises()
        promises.make()
        try promises.die(at: near)
        var count = 0
        while try near.trySend(count) { count += 1 }
        let (last, blocking) = (count, count + 1)
        let outcome = try await onLoop {
            async let sent = code { try await near.send(last) }
            async let thread = onThread { () -> ChannelError.Code? in
                do {
                    try near.sendBlocking(blocking)
                    return nil
                } catch { return (error as? ChannelError)?.code }
            }
            try await eventually("both wait") {
                near.end.isDead(1) && near.end.waiters.withState { $0.entries.count == 2 }
            }
            if comes {
                for _ in 0...blocking { _ = try await far.receive() }
            } else {
                promises.end()
            }
            return try await (sent, thread)
        }
        #expect(outcome == (comes ? (nil, nil) : (.peerDied(generation: 1), .peerDied(generation: 1))))
    }

    @Test func `A call that a dead process had taken fails once, however soon its successor comes`() async throws {
        let (near, far) = try Channel<Int>.both()
        let promises = Promises()
        promises.make()
        try promises.die(at: near)
        let ring = near.core.memory.ring(.messages, from: .creator)
        let outcome = try await onLoop { () -> ChannelError.Code? in
            async let taken = code { _ = try await near.call(1, timeout: .seconds(60)) }
            try await eventually("the call is sent") { !ring.isEmpty }
            // Without a wait in between, so that the caller sees the successor only.
            var consumer = ByteRingConsumer(ring)
            guard case .record(let header) = consumer.look() else { return .unknownName }
            _ = consumer.advance(past: header)
            try far.answerCallsNow()
            return await taken
        }
        #expect(outcome == .peerDied(generation: 1))
    }
}

extension Channel {
    /// Its process comes to this end.
    fileprivate func answerCallsNow() throws { try end.answerCalls() }
}
