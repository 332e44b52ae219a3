// A supervisor that receives: its main process has one end of a channel with each of its workers, subscribes, and takes
// jobs of the queue, all of it in memory that the hostile processes write over.

import Prefork
import PreforkFixtureSupport
import PreforkSystem

struct Desks: Sendable {
    private let channels: [Channel<String>]

    init() throws {
        channels = try (0..<Pool.workers).map { number in
            var options = ChannelOptions()
            // Small, so that random words hit.
            options.ringBytes = 4_096
            options.messageLimit = 1 << 20
            return try Channel(name: "desk-\(number)", options)
        }
    }

    /// In the main process, before it supervises.
    func open(_ shared: SharedThings) throws {
        for channel in channels {
            try channel.onReceive { _ in }
            try channel.onCall { $0 }
            _ = try channel.onPeer { _ in }
        }
        _ = try shared.store.onSubscriberReceive("news", as: String.self) { _ in }
        for channel in channels {
            // It waits for room, for answers, and for successors.
            _ = Task(executorPreference: try EventLoop.shared) {
                while true {
                    _ = try? await channel.call("from the supervisor", timeout: .milliseconds(500))
                    _ = try? await channel.send("from the supervisor", timeout: .milliseconds(500))
                    try await EventLoop.sleep(for: .milliseconds(20))
                }
            }
        }
        _ = Task(executorPreference: try EventLoop.shared) {
            while true {
                try? await shared.queue.receive(timeout: .milliseconds(500)).acknowledge()
                try await EventLoop.sleep(for: .milliseconds(50))
            }
        }
    }

    /// In a worker, until it is asked to stop.
    func use(as worker: Worker) async {
        guard channels.indices.contains(worker.taskID) else { return }
        let end = channels[worker.taskID]
        _ = try? end.onReceive { _ in }
        _ = try? end.onCall { $0 }
        let large = String(repeating: "x", count: 100_000)
        // Cancelled when the worker has lost its listener and ends.
        while !worker.stopRequested.isRequested, !Task.isCancelled {
            _ = try? await end.call("to the supervisor", timeout: .milliseconds(500))
            try? await end.send("to the supervisor", timeout: .milliseconds(500))
            try? await end.send(large, timeout: .milliseconds(500))
            _ = try? await worker.stopRequested.wait(atMost: .milliseconds(5))
        }
    }
}
