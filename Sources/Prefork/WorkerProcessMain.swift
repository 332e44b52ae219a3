// The worker's process: its loop, its body, its end.

import PreforkEventLoop
import PreforkSupervisor

/// Runs a body as the whole life of a worker's process.
struct WorkerProcessMain {
    let seat: WorkerSeat
    let runtime: ForkRuntime

    func run(_ body: @escaping @Sendable (Worker) async throws -> Void) -> Never {
        let main = LoopMain(
            name: "worker \(seat.info.taskID)", supervisorPipe: seat.supervisorPipe, signalMask: seat.signalMask,
            drainTimeout: runtime.drainTimeout, quickTimeout: runtime.quickTimeout, executor: runtime.executor,
            isStopOrdered: { [seat] in seat.scoreboard.serviceStops })
        main.run { loop in
            loop.balance = ConnectionBalance(
                publish: { [seat] in seat.publish(connections: $0) },
                isAboveAverage: { [seat] in seat.hasMoreConnectionsThanAverage })
            let worker = Worker(seat: seat, loop: loop)
            if runtime.readiness == .automatic { loop.onFirstWait = { worker.ready() } }
            return {
                try await body(worker)
                return 0
            }
        }
    }
}
