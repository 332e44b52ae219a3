// The worker's process: its loop, its signals, its body, its end.

import PreforkEventLoop
import PreforkSupervisor
import PreforkSystem

/// Runs a body as the whole life of a worker's process.
struct WorkerProcessMain {
    let seat: WorkerSeat
    let runtime: ForkRuntime

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
        exitChild(code: 0)
    }

    /// Signals have been blocked since before the fork; one that came meanwhile is read now, none is lost.
    private func listenToSignals(on loop: EventLoop, _ task: Task<Void, Never>) {
        do {
            try loop.onSignals([.terminate, .quit, .interrupt]) { signal in
                loop.stopRequest.request(seat.scoreboard.serviceStops ? .service : .worker)
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
