// What a new worker has from its supervisor.

package import PreforkSystem

/// A worker's end of the supervision: who it is, how to say that it is ready, how to notice that it is alone.
package struct WorkerSeat: Sendable {
    package let info: WorkerInfo
    package let scoreboard: Scoreboard
    /// Reads the end when the supervisor is gone. Never written to.
    package let supervisorPipe: Int32
    /// The signals that were blocked before supervision began. All are blocked when a seat is handed out.
    package let signalMask: SignalSet
    let spawn: UInt64
    let news: Int32

    /// Tells the siblings how many connections this worker serves.
    package func publish(connections: Int) {
        scoreboard.setConnections(connections, slot: info.taskID)
    }

    /// Whether a sibling should take the next connection.
    package var hasMoreConnectionsThanAverage: Bool {
        scoreboard.hasMoreConnectionsThanAverage(slot: info.taskID)
    }

    /// Tells the supervisor that this worker can serve. A second call has no effect.
    package func markReady() {
        guard scoreboard.readySpawn(slot: info.taskID) != spawn else { return }
        scoreboard.setReadySpawn(spawn, slot: info.taskID)
        EventCounter.signal(news)
    }
}
