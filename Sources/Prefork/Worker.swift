// A worker, as its body sees it.

public import PreforkEventLoop
import PreforkSupervisor
import PreforkSystem

/// The worker that a body runs in.
public final class Worker: Sendable {
    private let seat: WorkerSeat
    /// The worker's event loop.
    public let loop: EventLoop

    init(seat: WorkerSeat, loop: EventLoop) {
        self.seat = seat
        self.loop = loop
    }

    /// 0 ..< the number of workers; a worker that replaces another has its task ID.
    public var taskID: Int { seat.info.taskID }

    /// Which reload of the program this worker belongs to; 1 is the first.
    public var generation: Int { seat.info.generation }

    /// Tells the supervisor that this worker can serve; needed with `.manual` readiness only. A second call has no
    /// effect.
    public func ready() {
        seat.markReady()
    }

    /// Becomes true when the supervisor asks this worker to end; a sequence of that one event.
    ///
    /// `Listener.serve` ends by itself; a body with a loop of its own asks here.
    public var stopRequested: StopRequest { loop.stopRequest }

    /// Ends this worker at once with an exit code; buffered stdio is written, connections are dropped.
    ///
    /// Any code but 0 makes the supervisor start another worker.
    public func exit(code: Int32) -> Never {
        exitChild(code: code)
    }
}
