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
        try onThreads {
            try end.waitBlocking(.send, since: end.waiters.epoch, until: nil) { true }
            done.add(true)
        }
        try await eventually("it leads") { end.waiters.hasLeader && !end.waiters.isEmpty }
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
        try onThreads {
            try end.waitBlocking(.receive, since: end.waiters.epoch, until: nil) { true }
            done.add(true)
        }
        try await eventually("it leads") { end.waiters.hasLeader && !end.waiters.isEmpty }
        far.close()
        try await eventually("it has come back") { done.all == [true] }
        #expect(try Polling.waitUntilReadable([near.core.memory.bell(of: .peer)], until: .now))
    }
}
