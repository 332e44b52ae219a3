// Accept queues without a worker: who is told of them.

import PreforkSystem
import Testing

@testable import PreforkSupervisor

@Suite struct QueueAssignmentTests {
    private func workers(_ list: [(Int, UInt64)]) -> [QueueAssignment.WorkerOfSlot] {
        list.map { QueueAssignment.WorkerOfSlot(taskID: $0.0, spawn: $0.1) }
    }

    @Test func `Only workers whose duties have changed are told`() {
        var queues = QueueAssignment()
        #expect(queues.assign([3], to: workers([(0, 1), (1, 2), (2, 3)])) == [1, 2, 3])
        #expect(queues.assign([3], to: workers([(0, 1), (1, 2), (2, 3)])) == [])
        // Worker 0 takes queue 1.
        #expect(queues.assign([3], to: workers([(0, 1), (2, 3)])) == [1])
        #expect(queues.duties == [1: [[0, 1]], 3: [[2]]])
        // The new worker cannot know that it is the one now.
        #expect(queues.assign([3], to: workers([(0, 1), (1, 4), (2, 3)])) == [1, 4])
        #expect(queues.assign([3], to: []) == [] && queues.duties.isEmpty)
    }

    @Test func `Groups of several sizes are shared out by the same list`() {
        var queues = QueueAssignment()
        _ = queues.assign([2, 4], to: workers([(0, 1), (1, 2)]))
        #expect(queues.duties == [1: [[0], [0, 2]], 2: [[1], [1, 3]]])
    }

    /// In each state of a slot, at least all that accept, and none that does not.
    @Test func `Workers that accept are those that are ready and not asked to end`() {
        var driver = PoolDriver.ready(workers: 4)
        func accepting() -> [Int] { driver.pool.acceptingWorkers.map(\.taskID) }
        #expect(accepting() == [0, 1, 2, 3])
        driver.exit(1, .failure)
        #expect(accepting() == [0, 2, 3], "its successor boots")
        driver.ready(1)
        driver.exit(2, .success)
        #expect(accepting() == [0, 1, 3], "it is done")
        driver.perform(.restart(slot: 0))
        #expect(accepting() == [0, 1, 3], "the old one serves")
        let old = driver.pool.slots[0].worker?.spawn
        driver.replacementReady(0)
        #expect(accepting() == [0, 1, 3] && driver.pool.acceptingWorkers[0].spawn != old)
        driver.perform(.drain(slot: 1))
        #expect(accepting() == [0, 3])
        driver.perform(.scale(.to(3)))
        #expect(accepting() == [0])
        driver.perform(.kill(slot: 0))
        #expect(accepting() == [])
    }

    @Test func `The words that children read name who accepts until it is asked to end`() throws {
        let orders = try SupervisorOrders(lines: 10)
        orders.linesInUse = 5
        #expect(orders.acceptingTaskIDs == [])
        orders.setAccepting(7, line: 1)
        orders.setAccepting(0, line: 4)
        // The successor of a worker has its task ID.
        orders.setAccepting(7, line: 2)
        orders.setAccepting(9_999, line: 5)
        #expect(orders.acceptingTaskIDs == [0, 7], "line 5 is not in use")
        #expect(!orders.isHeard(line: 1))
        orders.noteReady(line: 1)
        #expect(orders.isHeard(line: 1) && !orders.isLeaving(line: 1) && orders.acceptingTaskIDs == [0, 7])
        orders.setOrder(.leave, line: 1)
        orders.setOrder(.makeRoom, line: 2)
        #expect(orders.isLeaving(line: 1) && orders.acceptingTaskIDs == [0])
        orders.setAccepting(nil, line: 4)
        orders.setAccepting(nil, line: 1)
        #expect(orders.isLeaving(line: 1) && orders.acceptingTaskIDs == [])
    }
}
