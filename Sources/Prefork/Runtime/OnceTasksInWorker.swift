// Runs of once-tasks in a worker: what the supervisor orders, beside the worker's body.

import PreforkEventLoop
import PreforkSupervisor
import PreforkSystem

/// A task whose runs are done by workers.
struct WorkerTask: Sendable {
    let name: String
    let body: @Sendable (OnceRun) async throws -> Void
}

/// The runs of one worker: one at a time, each once. On the loop's thread.
final class OnceTasksInWorker {
    private let handle: WorkerHandle
    private let tasks: [WorkerTask]
    private unowned let loop: EventLoop
    /// The last run that was begun here.
    private var lastRun: UInt64 = 0
    private var lastTask = -1
    private var running: Task<Void, Never>?

    /// - Parameter tasks: in the order in which they were added.
    init(_ handle: WorkerHandle, _ tasks: [WorkerTask], on loop: EventLoop) {
        self.handle = handle
        self.tasks = tasks
        self.loop = loop
    }

    /// Begins to follow orders. Before the loop runs.
    func follow() {
        guard let bell = handle.onceBell, !tasks.isEmpty else { return }
        // The loop keeps the watch, and the watch this object. Where the kernel refuses, orders are late.
        try? loop.add(Watch(bell) { [self] _ in look() }, for: .readableOnce)
        loop.execute { [box = Unchecked(self)] in box.value.lookAgain() }
    }

    /// Proof: used on the loop's thread only, where `execute` runs its argument.
    private struct Unchecked: @unchecked Sendable {
        let value: OnceTasksInWorker

        init(_ value: OnceTasksInWorker) { self.value = value }
    }

    /// Another worker may have taken the ring away.
    private func lookAgain() {
        look()
        loop.call(after: Bell.longestSleep) { [self] in lookAgain() }
    }

    private func look() {
        guard let order = handle.onceOrder else { return }
        let isNew = order.ticket.run != lastRun || order.task != lastTask
        if order.mustEnd, !isNew { running?.cancel() }
        guard isNew, !order.mustEnd, tasks.indices.contains(order.task) else { return }
        (lastRun, lastTask) = (order.ticket.run, order.task)
        let (task, run) = (tasks[order.task], OnceRun(tasks[order.task].name, order.ticket, loop: loop))
        // A worker that is asked to end waits for it, as long as its drain time allows.
        let hold = WorkInHand()
        running = Task { [handle] in
            var code: Int32 = 1
            do {
                code = try await run.perform(within: nil, task.body)
            } catch {
                reportFailure(of: task.name, error)
            }
            handle.answerRun(order.ticket.run, code: code)
            withExtendedLifetime(hold) {}
        }
    }
}
