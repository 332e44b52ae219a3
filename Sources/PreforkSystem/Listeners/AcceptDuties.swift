// The assignment of an SO_REUSEPORT group's queues to workers.

/// The accept queues that a process takes. The kernel gives each queue of a group its share of the connections, whether
/// a worker accepts from it or not, so a queue without a worker is another worker's duty.
///
/// The worker with task ID i has queue i modulo the number of queues. Queues that no worker has by this rule, because
/// the pool is smaller, or because their worker has ended and its successor is not ready, go round robin to the workers
/// that accept, in the order of both. Supervisor and workers work it out from the same list, which the supervisor alone
/// writes.
package enum AcceptDuties {
    /// Returns the task IDs of the workers that accept, as the supervisor reports them, ascending. Nil in a process
    /// that is not a worker.
    ///
    /// Proof: written once by the only thread of a freshly forked child, before it runs any code of the program.
    package nonisolated(unsafe) static var acceptingTaskIDs: (@Sendable () -> [Int])?

    /// Informs a worker that its duties have changed. Ignored by default (signal(7)), so that a worker that does not
    /// accept by `Listener.serve` need not know of it.
    package static let signal = Signal.urgent

    /// Whether this process takes other queues when siblings come and go.
    package static var mayChange: Bool { TaskIdentity.current != nil && acceptingTaskIDs != nil }

    /// The queues of a group that this process takes, its own first.
    ///
    /// - Parameter count: how many the group has.
    /// - Returns: nil while the supervisor names no worker. What a worker took before then stays its duty.
    package static func queues(of count: Int) -> [Int]? {
        if count == 1 { return [0] }
        // A process without siblings, or one that the program has made itself.
        guard let taskID = TaskIdentity.current?.taskID, let acceptingTaskIDs else { return Array(0..<count) }
        let accepting = acceptingTaskIDs()
        return accepting.isEmpty ? nil : queues(of: count, taskID: taskID, among: accepting)
    }

    /// - Parameters:
    ///   - count: of the group, above zero.
    ///   - accepting: the task IDs of all workers that accept, ascending.
    package static func queues(of count: Int, taskID: Int, among accepting: [Int]) -> [Int] {
        let own = taskID % count
        guard let position = accepting.firstIndex(of: taskID) else { return [own] }
        let orphans = orphans(of: count, among: accepting)
        return [own] + stride(from: position, to: orphans.count, by: accepting.count).map { orphans[$0] }
    }

    private static func orphans(of count: Int, among accepting: [Int]) -> [Int] {
        var isServed = [Bool](repeating: false, count: count)
        for taskID in accepting { isServed[taskID % count] = true }
        return isServed.indices.filter { !isServed[$0] }
    }
}
