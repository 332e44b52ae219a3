// Accept queues of SO_REUSEPORT groups without an assigned worker.

import PreforkSystem

/// Which workers share out the queues without a worker, and what each of them takes.
struct QueueAssignment: Equatable {
    /// The pool may have changed since.
    var isDue = false
    /// By the number of their fork: what each worker was told to take, of each size of group.
    private(set) var duties: [UInt64: [[Int]]] = [:]

    /// - Parameters:
    ///   - accepting: the workers that accept.
    ///   - groups: the numbers of queues of the groups.
    /// - Returns: the workers whose duties have changed.
    mutating func assign(_ groups: [Int], to accepting: [WorkerOfSlot]) -> [UInt64] {
        let taskIDs = accepting.map(\.taskID).sorted()
        let before = duties
        duties = [:]
        for worker in accepting {
            duties[worker.spawn] = groups.map { AcceptDuties.queues(of: $0, taskID: worker.taskID, among: taskIDs) }
        }
        return duties.keys.filter { duties[$0] != before[$0] }.sorted()
    }

    /// A worker, by its task ID and the number of its fork.
    struct WorkerOfSlot: Equatable {
        var taskID: Int
        var spawn: UInt64
    }
}

extension Pool {
    /// The workers to which a connection may come: ready, and not asked to end.
    var acceptingWorkers: [QueueAssignment.WorkerOfSlot] {
        slots.compactMap { slot in
            guard slot.isReady, let worker = slot.worker else { return nil }
            return QueueAssignment.WorkerOfSlot(taskID: slot.taskID, spawn: worker.spawn)
        }
    }
}

extension Supervisor {
    private var queueGroups: [Listener] { serviceListeners.filter { $0.queueCount > 1 } }

    /// False if this image has bound queues that workers of the previous image do not have.
    var olderWorkersHaveAllQueues: Bool { queueGroups.allSatisfy(\.isWhollyInherited) }

    /// Writes which workers accept into the words that only the supervisor writes, and wakes the workers whose duties
    /// have changed. Once in a turn, for everything that happened in it.
    ///
    /// A pool that stops says no more: each worker ends with the queues that it has.
    func assignQueues() {
        guard queues.isDue else { return }
        queues.isDue = false
        guard pool.isServing else { return }
        let groups = queueGroups
        if groups.isEmpty { return }
        let olderHaveAll = olderWorkersHaveAllQueues
        let candidates = pool.acceptingWorkers.filter { olderHaveAll || workers[$0.spawn]?.isInherited == false }
        let stalled = loopStalls?.stalled ?? []
        let turning = candidates.filter { !stalled.contains($0.spawn) }
        // If all of them stand still, each keeps its share.
        let accepting = turning.isEmpty ? candidates : turning
        let lines = workers.linesBySpawn
        let taskIDs = Dictionary(accepting.map { ($0.spawn, $0.taskID) }) { first, _ in first }
        for (spawn, line) in lines { scoreboard.orders.setAccepting(taskIDs[spawn], line: line) }
        let sizes = Set(groups.map(\.queueCount)).sorted()
        for spawn in queues.assign(sizes, to: accepting) { send(AcceptDuties.signal, to: spawn) }
    }
}
