// The worker's process: its loop, its body, its end.

import PreforkEventLoop
import PreforkStore
import PreforkSupervisor
import PreforkSystem

/// Runs a body as the whole life of a worker's process.
struct WorkerProcessMain {
    let seat: WorkerSeat
    let runtime: ForkRuntime

    func run(_ body: @escaping @Sendable (Worker) async throws -> Void) -> Never {
        var main = LoopMain(
            name: "worker \(seat.info.taskID)", supervisorPipe: seat.supervisorPipe, signalMask: seat.signalMask,
            drainTimeout: runtime.drainTimeout, quickTimeout: runtime.quickTimeout, executor: runtime.executor,
            orderedStop: { [seat] in seat.serviceStops ? .service : seat.isAskedToLeave ? .worker : nil })
        main.onStop = { [seat] in seat.markDraining() }
        main.onCutOff = { [seat] isQuick in seat.logRequestsInHand(isQuick: isQuick) }
        main.run { loop in
            // A predecessor may have died in the middle of a change.
            StoreRegistry.repairAll()
            Listener.restoreAll()
            loop.balance = ConnectionBalance(
                publish: { [seat] in seat.publish(connections: $0) },
                isAboveAverage: { [seat] in seat.hasMoreConnectionsThanAverage })
            let worker = Worker(seat: seat, loop: loop)
            // Without marks for `Scripts/bench request`, which compares both.
            #if !PREFORK_WITHOUT_MARKS
                loop.mark(in: worker.requests)
            #endif
            // On the loop: it does not run yet, and calls are scheduled on its own thread only.
            if let period = seat.heartbeatPeriod { loop.execute { [seat] in seat.beat(on: loop, every: period) } }
            if runtime.readiness == .automatic { loop.onFirstWait = { worker.ready() } }
            return {
                try await body(worker)
                return 0
            }
        }
    }
}

extension WorkerSeat {
    /// Reports heartbeats for as long as the loop turns, and repairs what only this process can repair.
    fileprivate func beat(on loop: EventLoop, every period: Duration) {
        beat()
        StoreRegistry.disownAll()
        loop.call(after: period) { self.beat(on: loop, every: period) }
    }
}
