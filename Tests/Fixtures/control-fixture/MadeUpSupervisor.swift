// Workers that do as they are told, because there are none.

import PreforkSupervisor
import PreforkSystem

final class MadeUpSupervisor: ControlDelegate {
    private let start = MonotonicInstant.now
    private var workers: [WorkerStatus]
    private var reload: PoolStatus.Reload?
    private var completions: [(MonotonicInstant, () -> Void)] = []
    var isStopped = false
    var listener: Listener?

    init(workers count: Int) {
        let died = ExitReport(
            slot: 1, pid: 99, status: .signaled(.abort, coreDumped: true), consequence: .restart(in: .zero, number: 1))
        workers = (0..<count).map { slot in
            WorkerStatus(
                slot: slot, pid: CurrentProcess.pid, state: .ready, connections: slot % 7,
                heartbeatAge: .milliseconds(20), lastExit: slot == 1 ? died : nil)
        }
        if count > 3 {
            workers[2].state = .draining
            workers[3].state = .backingOff
            workers[3].pid = nil
        }
    }

    /// Makes the workers bear the names of real processes.
    func borrow(_ pids: [Int32]) {
        for index in workers.indices where workers[index].pid != nil { workers[index].pid = pids[index % pids.count] }
    }

    var nextDeadline: MonotonicInstant? { completions.map(\.0).min() }

    func tick() {
        let due = completions.filter { $0.0 <= .now }
        completions.removeAll { $0.0 <= .now }
        for (_, completion) in due { completion() }
    }

    func managedProcesses() -> [TargetStatus] { [] }
    func status() -> PoolStatus {
        let age = MonotonicInstant.now - start
        let present = workers.map { worker in
            var worker = worker
            worker.uptime = age
            worker.requests = UInt64(age.seconds * Double(100 + worker.slot * 10))
            return worker
        }
        return PoolStatus(
            supervisor: CurrentProcess.pid, workers: present, target: workers.count, uptime: age, restarts: 1,
            reload: reload)
    }

    func sharedObjects() -> SharedObjects { SharedObjects() }
    func counters() -> PoolCounters { PoolCounters() }
    func crashes() -> [ExitReport] { workers.compactMap(\.lastExit) }
    func quarantined() -> [QuarantineStatus] { [] }
    func requests() -> InFlightRequests { InFlightRequests() }
    func listeners() -> [ListenerStatus] { listener.map { [ListenerStatus(of: $0)] } ?? [] }
    func settings() -> [(name: String, value: String)] { [("workers", "\(workers.count)")] }

    func perform(_ command: ControlCommand, completion: ((ControlOutcome) -> Void)?) -> ControlOutcome {
        switch command {
        case .reload:
            if let completion {
                completions.append((.now + .milliseconds(300), { completion(.done("reloaded, generation 2")) }))
            }
            return .done("reload began")
        case .scale(.to(let count)) where count < 1:
            return .failed("a pool has at least one worker")
        case .restart(let slot), .kill(let slot), .drain(let slot):
            guard workers.indices.contains(slot) else { return .failed("there is no slot \(slot)") }
            completion?(.done("slot \(slot) has its successor"))
            return .done("slot \(slot)")
        case .stop:
            isStopped = true
            return .done("stopping")
        default:
            completion?(.done("done"))
            return .done("done")
        }
    }
}
