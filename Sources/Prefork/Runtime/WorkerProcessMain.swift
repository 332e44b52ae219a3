// The worker's process: its loop, its body, its end.

import PreforkEventLoop
import PreforkStore
import PreforkSupervisor
import PreforkSystem

/// Runs a body as the whole life of a worker's process.
struct WorkerProcessMain {
    let handle: WorkerHandle
    let runtime: ForkRuntime

    func run(_ body: @escaping @Sendable (Worker) async throws -> Void) -> Never {
        var main = LoopMain(
            name: "worker \(handle.info.taskID)", supervisorPipe: handle.supervisorPipe, signalMask: handle.signalMask,
            drainTimeout: runtime.drainTimeout, quickTimeout: runtime.quickTimeout, executor: runtime.executor,
            orderedStop: { [handle] in handle.serviceStops ? .service : handle.isAskedToLeave ? .worker : nil })
        main.onStop = { [handle] in handle.markDraining() }
        main.onCutOff = { [handle] isQuick in handle.logRequestsInHand(isQuick: isQuick) }
        main.run { loop in
            // A predecessor may have died in the middle of a change.
            StoreRegistry.repairAll()
            Listener.restoreAll()
            loop.watchAccessLog()
            loop.moveConnections(within: min(runtime.settings.moveTimeout, runtime.drainTimeout.part(of: 2)))
            loop.balance = ConnectionBalance(
                publish: { [handle] in handle.publish(connections: $0) },
                isAboveAverage: { [handle] in handle.hasMoreConnectionsThanAverage })
            let worker = Worker(handle: handle, loop: loop)
            // Without marks for `Scripts/bench request`, which compares both.
            #if !PREFORK_WITHOUT_MARKS
                loop.mark(in: worker.requests)
            #endif
            OnceTasksInWorker(handle, runtime.tasksInWorkers, on: loop).follow()
            loop.loopMark = handle.loopMark
            loop.loopMark?.begins(at: .now)
            Blocking.onChange = { [handle] in handle.publish(blocking: $0) }
            loop.accounting = handle.accounting
            loop.turnDurations = BuiltInMetrics.loopTurns
            loop.onServing = { [handle] in handle.serves($0, isHTTP: $1) }
            // On the loop: it does not run yet, and calls are scheduled on its own thread only.
            if let period = handle.heartbeatPeriod { loop.execute { [handle] in handle.beat(on: loop, every: period) } }
            if runtime.readiness == .automatic { loop.onFirstWait = { worker.ready() } }
            return {
                try await body(worker)
                return 0
            }
        }
    }
}

extension WorkerHandle {
    /// Reports heartbeats for as long as the loop turns, and repairs what only this process can repair.
    fileprivate func beat(on loop: EventLoop, every period: Duration) {
        beat()
        StoreRegistry.disownAll()
        loop.call(after: period) { self.beat(on: loop, every: period) }
    }
}
