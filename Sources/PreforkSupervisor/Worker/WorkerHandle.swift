// What a new worker inherits from its supervisor.

package import PreforkSystem

/// A worker's end of the supervision: its place in the pool, how to say that it is ready, how to notice that it is alone.
///
/// An object, because the new worker returns it through every frame of the supervisor's loop. A value would be copied
/// into each of them, and each of these pages of the stack is shared with the supervisor until it is written.
package final class WorkerHandle: Sendable {
    package let info: WorkerInfo
    let scoreboard: Scoreboard
    let line: Int
    /// Reads the end when the supervisor is gone. Never written to.
    package let supervisorPipe: Int32
    /// The signals that were blocked before supervision began. All are blocked when a handle is handed out.
    package let signalMask: SignalSet
    /// How often a heartbeat is due. If nil, hangs are not detected.
    package let heartbeatPeriod: Duration?
    let spawn: UInt64
    /// What `Doorbell.ring` takes, to wake the supervisor. Negative where no descriptor was left for it.
    package let doorbell: Int32
    let title: WorkerTitle?
    let onceOrders: OnceOrders?
    private let watchesLoop: Bool

    init(
        info: WorkerInfo, scoreboard: Scoreboard, line: Int, supervisorPipe: Int32, signalMask: SignalSet,
        heartbeatPeriod: Duration?, watchesLoop: Bool, spawn: UInt64, doorbell: Int32, title: WorkerTitle?,
        onceOrders: OnceOrders?
    ) {
        self.watchesLoop = watchesLoop
        self.info = info
        self.scoreboard = scoreboard
        self.line = line
        self.supervisorPipe = supervisorPipe
        self.signalMask = signalMask
        self.heartbeatPeriod = heartbeatPeriod
        self.spawn = spawn
        self.doorbell = doorbell
        self.title = title
        self.onceOrders = onceOrders
    }

    /// Rings when there is an order to run a task, or to end a run. If nil, no task runs in workers.
    package var onceBell: Int32? { onceOrders?.bell.descriptor.number }

    /// The run that this worker must do. If nil, there is none.
    package var onceOrder: OnceOrders.Order? { onceOrders?.order(line: line) }

    /// Tells the supervisor that a run is over.
    ///
    /// - Parameter code: 0 if it is done, one of `OnceLeaseCode`, or else it has failed.
    package func answerRun(_ run: UInt64, code: Int32) {
        scoreboard.answerRun(OnceAnswer.word(run: run, code: code), line: line)
        Doorbell.ring(doorbell)
    }

    /// The whole pool is ending.
    package var serviceStops: Bool { scoreboard.orders.serviceStops }

    /// The supervisor has asked this worker to end, by itself or with the whole pool.
    package var isAskedToLeave: Bool { serviceStops || scoreboard.orders.isLeaving(line: line) }

    /// Shows in ps(1) that this worker finishes.
    package func markDraining() { title?.set("draining") }

    /// Tells the siblings how many connections this worker serves.
    package func publish(connections: Int) {
        scoreboard.setConnections(connections, line: line)
    }

    /// Whether a sibling should take the next connection.
    package var hasMoreConnectionsThanAverage: Bool {
        scoreboard.hasMoreConnectionsThanAverage(line: line)
    }

    /// Where this worker marks its requests. If nil, its marks cannot be seen.
    package var requestMemory: UnsafeMutableRawPointer? { scoreboard.requestRing(line: line) }

    /// Requests that are refused.
    package var quarantine: QuarantineList { scoreboard.orders.quarantine }

    package func countRequests(_ count: UInt64) { scoreboard.countRequests(count, line: line) }

    /// Where this worker's loop counts how long its requests took. The handle keeps the memory.
    package var requestDurations: HistogramWords { scoreboard.requestDurations(line: line) }

    /// Where this worker's loop says when it is in a turn. If nil, the supervisor does not watch it.
    package var loopMark: LoopMark? {
        guard watchesLoop else { return nil }
        return LoopMark(
            scoreboard.turnWord(line: line), watch: scoreboard.orders.watchWord, doorbell: doorbell)
    }

    /// From any thread, one call at a time.
    package func publish(blocking load: ThreadPool.Load) { scoreboard.setBlockingLoad(load, line: line) }

    /// A request was refused because its label is in quarantine.
    package func countRefusal() { scoreboard.countRefusal(line: line) }

    /// Reports a heartbeat.
    package func beat() { scoreboard.beat(line: line) }

    /// Announces that the next heartbeat may be that late.
    package func extendHeartbeat(until instant: MonotonicInstant) {
        scoreboard.extend(until: instant, line: line)
        beat()
    }

    /// Tells the supervisor that this worker serves a listener from now on.
    ///
    /// - Parameter isHTTP: by HTTP. If not, by whatever the program speaks.
    package func serves(_ listener: Listener, isHTTP: Bool) {
        let isNews = scoreboard.noteServing(ServedListeners(listener, isHTTP: isHTTP), line: line)
        // One that is not ready yet rings when it is.
        if isNews, isKnownReady { Doorbell.ring(doorbell) }
    }

    /// Whether the supervisor knows that this worker is ready. Until it does, `markReady` must be called again:
    /// siblings can overwrite the word before the supervisor has seen it.
    package var isKnownReady: Bool { scoreboard.orders.isHeard(line: line) }

    /// Tells the supervisor that this worker can serve. Has no effect when it knows.
    package func markReady() {
        guard !isKnownReady else { return }
        scoreboard.setReadySpawn(spawn, line: line)
        Doorbell.ring(doorbell)
        title?.set("ready")
    }
}
