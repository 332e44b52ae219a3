// Threads that wait at an end without a loop.

import PreforkStore
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkChannels

@Suite(.timeLimit(.minutes(2)))
struct ChannelWaitingTests {
    @Test func theThreadThatListensToTheBellIsWokenLikeAllOthers() async throws {
        let (_, far) = try Channel<Int>.both()
        let end = far.end
        try end.attach()
        let done = Log<Bool>()
        let isOver = Log<Bool>()
        try onThreads {
            // A wait ends by itself now and then, for a look without a ring.
            repeat {
                try end.waitBlocking(.send, since: end.waiters.epoch, until: nil) { true }
            } while isOver.all.isEmpty
            done.add(true)
        }
        try await eventually("it leads") { end.waiters.hasLeader && !end.waiters.isEmpty }
        isOver.add(true)
        // As one does who makes room for those behind it.
        end.waiters.wakeAll()
        try await eventually("it has come back") { done.all == [true] }
        #expect(end.waiters.isEmpty)
    }

    @Test func theBellOfAClosedEndIsLeftToItsSuccessor() async throws {
        let (near, far) = try Channel<Int>.both()
        let end = far.end
        try end.attach()
        let done = Log<Bool>()
        let isOver = Log<Bool>()
        try onThreads {
            // A wait ends by itself now and then, for a look without a ring.
            repeat {
                try end.waitBlocking(.receive, since: end.waiters.epoch, until: nil) { true }
            } while isOver.all.isEmpty
            done.add(true)
        }
        try await eventually("it leads") { end.waiters.hasLeader && !end.waiters.isEmpty }
        isOver.add(true)
        far.close()
        try await eventually("it has come back") { done.all == [true] }
        #expect(try Polling.waitUntilReadable([near.core.memory.bell(of: .peer)], until: .now))
    }
}
