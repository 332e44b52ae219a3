// The worker's process: its loop, its signals, its body, its end.

import PreforkEventLoop
import PreforkSupervisor
import PreforkSystem

/// Runs a body as the whole life of a worker's process.
struct WorkerProcessMain {
    let seat: WorkerSeat
    let runtime: ForkRuntime

    private final class StopSignal {
        /// The signal that asked for the end although the supervisor did not: somebody else sent it to this worker.
        var unsolicited: Signal?
    }

    private let stopSignal = StopSignal()

    init(seat: WorkerSeat, runtime: ForkRuntime) {
        self.seat = seat
        self.runtime = runtime
    }

    func run(_ body: @escaping @Sendable (Worker) async throws -> Void) -> Never {
        do {
            let loop = try EventLoop()
            if runtime.executor == .wholeProcess { loop.becomeProcessExecutor() }
            loop.balance = ConnectionBalance(
                publish: { [seat] in seat.publish(connections: $0) },
                isAboveAverage: { [seat] in seat.hasMoreConnectionsThanAverage })
            let worker = Worker(seat: seat, loop: loop)
            if runtime.readiness == .automatic { loop.onFirstWait = { worker.ready() } }
            try loop.onEnd(of: seat.supervisorPipe) { exitChild(code: 1) }
            try loop.run {
                try await body(worker)
            } started: { task in
                listenToSignals(on: loop, task)
            }
        } catch is CancellationError {
            // How a body ends that was cancelled because the drain timeout is near, or by a quick stop.
        } catch {
            _ = writeToStandardErrorWithoutBlocking(
                "\(WallClock.timestamp) prefork[\(CurrentProcess.pid)] error: worker \(seat.info.taskID) failed: \(error)\n")
            exitChild(code: 1)
        }
        // A worker that somebody else has stopped is lost, not done: it gets a successor. 128 + n, as shells say.
        exitChild(code: stopSignal.unsolicited.map { 128 + $0.rawValue } ?? 0)
    }

    /// Signals have been blocked since before the fork; one that came meanwhile is read now, none is lost.
    private func listenToSignals(on loop: EventLoop, _ task: Task<Void, Never>) {
        do {
            try loop.onSignals([.terminate, .quit, .interrupt]) { signal in
                // The supervisor sets the word before it sends the signal.
                let serviceStops = seat.scoreboard.serviceStops
                if !serviceStops { stopSignal.unsolicited = signal }
                loop.stopRequest.request(serviceStops ? .service : .worker)
                if signal == .interrupt {
                    task.cancel()
                } else {
                    let margin = min(runtime.drainTimeout / 10, .seconds(1))
                    loop.call(after: runtime.drainTimeout - margin) { task.cancel() }
                }
            }
            SignalMask.restore(seat.signalMask.union([.terminate, .quit, .interrupt]))
        } catch {
            // No descriptor left for signals: a worker that cannot be stopped must not start.
            _ = writeToStandardErrorWithoutBlocking("prefork: worker \(seat.info.taskID) failed: \(error)\n")
            exitChild(code: 1)
        }
    }
}
