// A worker, as its body sees it.

public import PreforkEventLoop
import PreforkSupervisor
import PreforkSystem

/// The worker that a body runs in.
public final class Worker: Sendable {
    let handle: WorkerHandle
    /// The worker's event loop.
    public let loop: EventLoop

    /// See `request`.
    let requests: RequestRing
    let quarantine: QuarantineList

    init(handle: WorkerHandle, loop: EventLoop) {
        self.handle = handle
        requests = RequestRing(memory: handle.requestMemory)
        quarantine = handle.quarantine
        self.loop = loop
    }

    /// 0 ..< the number of workers. A worker that replaces another one has its task ID.
    public var taskID: Int { handle.info.taskID }

    /// The worker's generation: 1 at the start, one more for each reload and upgrade.
    public var generation: Int { handle.info.generation }

    /// Tells the supervisor that this worker can serve. Needed with `.manual` readiness only. A second call has no
    /// effect.
    public func ready() {
        handle.markReady()
        loop.execute { [handle, loop] in Self.repeatReady(handle, on: loop, after: .milliseconds(100)) }
    }

    /// Says it again until the supervisor has heard it.
    private static func repeatReady(_ handle: WorkerHandle, on loop: EventLoop, after pause: Duration) {
        loop.call(after: pause) {
            guard !handle.isKnownReady else { return }
            handle.markReady()
            repeatReady(handle, on: loop, after: min(pause * 2, .seconds(1)))
        }
    }

    /// Becomes true when the supervisor asks this worker to end. It is also a sequence of that one event.
    ///
    /// `Listener.serve` ends by itself. A body with its own loop must check here.
    public var stopRequested: StopRequest { loop.stopRequest }

    /// Counts requests that this worker has served: for recycling by `RecyclingPolicy.requests`, the metrics and
    /// `preforkctl`. One addition in shared memory, from any thread. Nothing else counts: `request` marks what is in
    /// hand, and the program calls this when it has answered.
    ///
    /// - Parameter count: zero and less count nothing.
    public func countRequest(_ count: Int = 1) {
        if count > 0 { handle.countRequests(UInt64(count)) }
    }

    /// Reports a heartbeat. `extend` announces that the next one may be that late: for work that blocks the event loop
    /// longer than the soft deadline of `HangPolicy`. Without hang detection it has no visible effect.
    ///
    /// The loop reports heartbeats by itself. A body needs this only where it keeps the loop from turning. One or two
    /// stores into shared memory.
    ///
    /// - Parameter extend: counted from now. The latest call counts. The supervisor accepts a day at most, from the
    /// last heartbeat. Zero and less end an extension.
    public func heartbeat(extend: Duration? = nil) {
        guard let extend else { return handle.beat() }
        handle.extendHeartbeat(until: .now + max(.zero, extend))
    }

    /// Ends this worker at once with an exit code. Buffered stdio is written, connections are dropped.
    ///
    /// Any code but 0 makes the supervisor start another worker.
    ///
    /// - Parameter code: 0...255. Another one ends it with 255: the kernel keeps the low eight bits (wait(2)), and 256
    ///   would look like success.
    public func exit(code: Int32) -> Never {
        exitChild(code: code)
    }
}
