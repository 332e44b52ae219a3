// Programs that try again after each error, until they are asked to stop.

import PreforkEventLoop
import PreforkTestSupport
import Synchronization
import Testing

@testable import PreforkChannels

@Suite(.timeLimit(.minutes(1)))
struct FailingLoopTests {
    enum Call: CaseIterable, Sendable {
        case receive, receiveWithTimeout, receivePassed, receiveCall, send, sendWithTimeout, sendPassing, call
    }

    private static func attempt(_ call: Call, _ channel: Channel<Int>) async throws {
        switch call {
        case .receive: _ = try await channel.receive()
        case .receiveWithTimeout: _ = try await channel.receive(timeout: .seconds(60))
        case .receivePassed: _ = try await channel.receivePassed()
        case .receiveCall: _ = try await channel.receiveCall()
        case .send: try await channel.send(1)
        case .sendWithTimeout: try await channel.send(1, timeout: .seconds(60))
        case .sendPassing: try await channel.send(1, passing: [])
        case .call: _ = try await channel.call(1, timeout: .seconds(60))
        }
    }

    /// The stop comes by the loop that the calls run on: a worker that did not let it turn was killed at the end of its
    /// drain time.
    @Test(arguments: Call.allCases) func `A loop over calls that fail lets its event loop turn`(call: Call) async throws {
        let errors = try await onLoop {
            let channel = try Channel<Int>(name: "failing \(call)")
            channel.close()
            let isOver = Mutex(false)
            var errors = 0
            async let timer: Void = {
                try await EventLoop.sleep(for: .milliseconds(5))
                isOver.withLock { $0 = true }
            }()
            while !isOver.withLock({ $0 }) {
                do { try await Self.attempt(call, channel) } catch { errors += 1 }
            }
            try await timer
            return errors
        }
        #expect(errors > 0)
    }
}
