// First use is slow, so a supervisor does it once for all of its workers.

import PreforkSystem

extension EventLoop {
    /// Runs a task, a timer and a stream once on a temporary loop and discards them, on the calling thread.
    ///
    /// The first task of a process binds symbols, instantiates metadata and looks up conformances: most of the time
    /// between a fork and the first answer, and memory that each worker would hold for itself. Done before the fork,
    /// both are shared. Only tasks on this loop run here, which starts no thread and leaves a process that can fork
    /// (measured on Swift 6.3.1). The fork counts threads in any case.
    ///
    /// A failure, for lack of descriptors, is not an error: the next fork will fail and report it.
    ///
    /// - Parameter more: what else a worker does with its loop before it serves.
    package static func warmUp(_ more: (EventLoop) -> Void) {
        guard ThreadLoop.current == nil, let loop = try? EventLoop(), let pair = try? Socket.pair() else { return }
        more(loop)
        bindSymbolsOfChildren()
        Acceptor.warmUp()
        ProcessExecutor.prepare()
        _ = try? loop.run { () async throws -> Int32 in
            // A preference, not the process executor: that is for the workers to install.
            let connections = ConnectionSet()
            let left = Connection(owning: pair.0, peer: .unix(path: ""), loop: loop, server: connections)
            connections.insert(left)
            loop.stopRequest.onRequest { connections.drain(.none) }
            let right = Connection(owning: pair.1, peer: .unix(path: ""), loop: loop)
            try await withThrowingDiscardingTaskGroup { group in
                group.addTask(executorPreference: loop.preference) {
                    try await left.channel.ownedByCurrentTask {
                        while try await left.reader.waitForMessage() {
                            _ = try await left.reader.read(until: "\n", limit: 16)
                            try await left.writer.write("\n")
                        }
                    }
                    left.close()
                }
                for _ in 0..<2 {
                    try await right.writer.write("\n")
                    _ = try await right.reader.read(until: "\n", limit: 16)
                    try await EventLoop.sleep(for: .nanoseconds(1))
                }
                loop.stopRequest.request()
                right.close()
            }
            connections.remove(left)
            return 0
        }
    }
}
