// Tasks of several loops that wait for one queue.

import PreforkTestSupport
import Testing

@testable import PreforkChannels

@Suite(.timeLimit(.minutes(2)))
struct WorkQueueLineTests {
    @Test func aWaiterOutlivesTheLoopOfWhoeverCameFirst() async throws {
        let queue = try WorkQueue<Int>(name: "line")
        async let first: Void = onLoop {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { _ = try await queue.receive() }
                try await eventually("the second waits, too") { queue.receivers.waiterCount == 2 }
                group.cancelAll()
            }
        }
        try await eventually("the first waits") { queue.receivers.waiterCount == 1 }
        async let second = onLoop { try await queue.receive(timeout: .seconds(60)).message }
        try await first
        try await queue.send(5)
        #expect(try await second == 5)
    }
}
