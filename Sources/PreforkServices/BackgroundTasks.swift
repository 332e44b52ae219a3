// The background tasks of a service.

import Synchronization

/// A table of tasks that run beside a service, and whether new ones are let in.
struct BackgroundTasks {
    private struct Entry {
        let name: String
        /// Nil between being let in and being made.
        var task: Task<Void, Never>?
    }

    private var entries: [Int: Entry] = [:]
    private var lastID = 0
    /// They are all to end: nobody comes in, and one that is made late is cancelled at once.
    private(set) var isClosed = true
    /// Who is told when the last one has ended.
    private var drained: (run: TreeRun, node: Int)?

    var names: [String] { entries.keys.sorted().compactMap { entries[$0]?.name } }
    var isEmpty: Bool { entries.isEmpty }

    mutating func reopen() { isClosed = false }

    mutating func admit(_ name: String) -> Int {
        lastID += 1
        entries[lastID] = Entry(name: name)
        return lastID
    }

    /// - Returns: whether the task has come too late and is to be cancelled.
    mutating func made(_ id: Int, _ task: Task<Void, Never>) -> Bool {
        guard entries[id] != nil else { return false }
        entries[id]?.task = task
        return isClosed
    }

    func task(_ id: Int) -> Task<Void, Never>? { entries[id]?.task }

    /// - Returns: whom to tell that it was the last one.
    mutating func ended(_ id: Int) -> (run: TreeRun, node: Int)? {
        entries[id] = nil
        guard entries.isEmpty else { return nil }
        defer { drained = nil }
        return drained
    }

    /// - Returns: the tasks to cancel.
    mutating func close(tell run: TreeRun, _ node: Int) -> [Task<Void, Never>] {
        isClosed = true
        drained = entries.isEmpty ? nil : (run, node)
        return entries.values.compactMap(\.task)
    }
}

/// What a task has thrown. Every tree that holds its service is told, and one of them may start the service again.
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
    func addTask(_ name: String, _ body: @escaping @Sendable () async throws -> Void) throws(ServiceError) -> Int {
        let admission = state.withLock { state -> Result<(Int, TreeRun), ServiceError> in
            guard state.phase == .starting || state.phase == .running, !state.tasks.isClosed,
                let run = state.holders.first?.run
            else {
                return .failure(error(state.phase == .idle ? .notRunning : .stopping, state))
            }
            return .success((state.tasks.admit(name), run))
        }
        let (id, run) = try admission.get()
        let task = Task(executorPreference: run.host.executor) {
            var failure: (any Error)?
            do { try await run.callService(self, body) } catch { failure = error }
            // Asked only once: a task that is cancelled after it has thrown has failed nevertheless.
            let isCancellation = failure?.isCancellation == true && Task.isCancelled
            self.taskEnded(id, name, isCancellation ? nil : failure)
        }
        if state.withLock({ $0.tasks.made(id, task) }) { task.cancel() }
        return id
    }

    func cancelTask(_ id: Int) {
        state.withLock { $0.tasks.task(id) }?.cancel()
    }

    /// - Returns: whether there is nothing to wait for; otherwise the tree is told (`drained`).
    func cancelTasks(tell run: TreeRun, _ node: Int) -> Bool {
        // One look: a task that ends after it tells the tree itself.
        let (tasks, isEmpty) = state.withLock { ($0.tasks.close(tell: run, node), $0.tasks.isEmpty) }
        for task in tasks { task.cancel() }
        return isEmpty
    }

    var taskNames: [String] { state.withLock { $0.tasks.names } }

    /// A failure is told before the end, so that the tree that waits for the end knows of it.
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
