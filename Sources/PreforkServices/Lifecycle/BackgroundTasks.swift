// The background tasks of a service.

import Synchronization

/// A table of tasks that run beside a service, and whether new ones are admitted.
struct BackgroundTasks {
    private struct Entry {
        let name: String
        /// Cancels it. Nil between its admission and its creation.
        var cancel: (@Sendable () -> Void)?
    }

    private var entries: [Int: Entry] = [:]
    private var lastID = 0
    /// All must end: no task is admitted, and one that is made late is cancelled at once.
    private(set) var isClosed = true
    /// The tree that is informed when the last one has ended.
    private var drained: (run: TreeRun, node: Int)?

    var names: [String] { entries.keys.sorted().compactMap { entries[$0]?.name } }
    var isEmpty: Bool { entries.isEmpty }

    mutating func reopen() { isClosed = false }

    mutating func admit(_ name: String) -> Int {
        lastID += 1
        entries[lastID] = Entry(name: name)
        return lastID
    }

    /// - Returns: whether the task has come too late and must be cancelled.
    mutating func made(_ id: Int, cancel: @escaping @Sendable () -> Void) -> Bool {
        guard entries[id] != nil else { return false }
        entries[id]?.cancel = cancel
        return isClosed
    }

    /// - Returns: the tree to inform that it was the last one.
    mutating func ended(_ id: Int) -> (run: TreeRun, node: Int)? {
        entries[id] = nil
        guard entries.isEmpty else { return nil }
        defer { drained = nil }
        return drained
    }

    /// - Returns: what cancels them.
    mutating func close(tell run: TreeRun, _ node: Int) -> [@Sendable () -> Void] {
        isClosed = true
        drained = entries.isEmpty ? nil : (run, node)
        return entries.values.compactMap(\.cancel)
    }
}

/// What a task has thrown. Every tree that holds its service is informed, and one of them may start the service again.
final class TaskFailure: Sendable {
    let name: String
    let cause: any Error
    private let isTaken = Atomic(false)

    init(_ name: String, _ cause: any Error) {
        self.name = name
        self.cause = cause
    }

    /// - Returns: whether the caller is the first.
    func take() -> Bool { !isTaken.exchange(true, ordering: .relaxed) }
}

extension Lifecycle {
    func addTask<Success: Sendable>(
        _ name: String, _ body: @escaping @Sendable () async throws -> Success
    ) throws(ServiceError) -> Task<Success, any Error> {
        let admission = state.withLock { state -> Result<(Int, TreeRun), ServiceError> in
            guard state.phase == .starting || state.phase == .running, !state.tasks.isClosed,
                let run = state.holders.first?.run
            else {
                return .failure(error(state.phase == .idle ? .notRunning : .stopping, state))
            }
            return .success((state.tasks.admit(name), run))
        }
        let (id, run) = try admission.get()
        let task = Task<Success, any Error>(executorPreference: run.host.executor) {
            do {
                let success = try await run.callService(self, body)
                self.taskEnded(id, name, nil)
                return success
            } catch {
                // Asked only once: a task that is cancelled after it has thrown has failed nevertheless.
                let isCancellation = error.isCancellation && Task.isCancelled
                self.taskEnded(id, name, isCancellation ? nil : error)
                throw error
            }
        }
        if state.withLock({ $0.tasks.made(id, cancel: { task.cancel() }) }) { task.cancel() }
        return task
    }

    /// - Returns: whether no task remains. Otherwise the tree is informed later (`drained`).
    func cancelTasks(tell run: TreeRun, _ node: Int) -> Bool {
        // One check: a task that ends after it informs the tree itself.
        let (cancels, isEmpty) = state.withLock { ($0.tasks.close(tell: run, node), $0.tasks.isEmpty) }
        for cancel in cancels { cancel() }
        return isEmpty
    }

    var taskNames: [String] { state.withLock { $0.tasks.names } }

    /// A failure is reported before the end, so that the tree that waits for the end knows of it.
    private func taskEnded(_ id: Int, _ name: String, _ cause: (any Error)?) {
        if let cause {
            countFailure()
            let failure = TaskFailure(name, cause)
            for tree in state.withLock({ $0.stopper.map { [$0] } ?? $0.holders }) {
                tree.run.post(.taskFailed(tree.node, failure))
            }
        }
        guard let drained = state.withLock({ $0.tasks.ended(id) }) else { return }
        drained.run.post(.drained(drained.node))
    }
}
