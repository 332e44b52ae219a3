// Runs of once-tasks in workers, from the supervisor's side.

import PreforkSystem

/// A run that a worker has.
struct WorkerRun: Equatable {
    let task: String
    let run: UInt64
    let pid: Int32
    let grace: Duration
    /// When the worker is killed. If nil, the run was not asked to end.
    var deadline: MonotonicInstant?
}

/// The workers of a pool, for the tasks that run in them.
protocol OnceWorkers: AnyObject {
    /// Has a worker do a run.
    ///
    /// - Returns: the worker's process, or nil if there is none that is ready and has no run.
    func begin(_ ticket: OnceTicket, of settings: OnceSettings) -> Int32?
    /// Asks a run to end.
    ///
    /// - Returns: false if no worker has a run of the task.
    func endRun(of task: String) -> Bool
    /// Whether a process is a worker of this pool, or was one of the program before.
    func isWorker(_ pid: Int32) -> Bool
    /// Workers that were given up, and may live.
    var unreapedWorkers: [Int32] { get }
}

extension Supervisor: OnceWorkers {
    var unreapedWorkers: [Int32] { late.processes }

    func isWorker(_ pid: Int32) -> Bool {
        workers.entries.values.contains { $0.child.pid == pid }
            || inheritance?.pool.workers.contains { $0.pid == pid } == true
    }

    func begin(_ ticket: OnceTicket, of settings: OnceSettings) -> Int32? {
        guard let orders = onceOrders, let index = settings.workerIndex, !isLeaving, pool.phase == .running else {
            return nil
        }
        // Those of the program before have other tasks.
        let free = pool.acceptingWorkers.sorted { $0.taskID < $1.taskID }.first { worker in
            workers[worker.spawn]?.isInherited == false && onceRuns[worker.spawn] == nil
        }
        guard let free, let entry = workers[free.spawn] else { return nil }
        let pid = entry.child.pid
        onceRuns[free.spawn] = WorkerRun(task: settings.name, run: ticket.run, pid: pid, grace: settings.grace)
        orders.begin(ticket, task: index, line: entry.line)
        return pid
    }

    func endRun(of task: String) -> Bool {
        guard let (spawn, run) = onceRuns.first(where: { $0.value.task == task }) else { return false }
        if run.deadline == nil { onceRuns[spawn]?.deadline = .now + run.grace }
        if let entry = workers[spawn], !entry.isInherited { onceOrders?.end(line: entry.line) }
        return true
    }

    /// When a worker that keeps a run is killed.
    var nextRunDeadline: MonotonicInstant? {
        onceRuns.isEmpty ? nil : onceRuns.values.compactMap(\.deadline).filter { $0 != .distantFuture }.min()
    }

    func killLateRuns() {
        guard let deadline = nextRunDeadline, deadline <= .now else { return }
        for (spawn, run) in onceRuns where run.deadline.map({ $0 <= .now }) == true {
            // Once: its end follows.
            onceRuns[spawn]?.deadline = .distantFuture
            guard let slot = workers[spawn]?.slot else { continue }
            let text = "worker \(slot) (pid \(run.pid)) gets SIGKILL: run \(run.run) of \(run.task) does not end"
            logger.say(LogLine(.warning, text), by: .worker(slot, .kill))
            send(.kill, to: spawn)
        }
    }

    /// A worker has written something.
    func takeRunAnswer(of spawn: UInt64, line: Int) {
        guard let run = onceRuns[spawn],
            let code = OnceAnswer.code(scoreboard.onceAnswer(line: line), run: run.run)
        else { return }
        onceRuns[spawn] = nil
        if workers[spawn]?.isInherited == false { onceOrders?.clear(line: line) }
        targets?.runEnded(run.task, pid: run.pid, .exited(code: code))
    }

    /// A worker was reaped. What it had answered before counts.
    func endRun(ofReaped spawn: UInt64, line: Int, isCollected: Bool, _ status: ExitStatus) {
        takeRunAnswer(of: spawn, line: line)
        onceOrders?.clear(line: line)
        guard let run = onceRuns.removeValue(forKey: spawn) else { return }
        // A worker that ended in order has left the run.
        let end: ExitStatus = if case .signaled = status { status } else { .lost }
        targets?.runEnded(run.task, pid: run.pid, end, isStuck: !isCollected)
    }

    /// Runs that workers of the previous image have.
    func adoptRuns() {
        guard let targets else { return }
        for (task, run, pid, grace) in targets.runsInWorkers {
            let spawn = workers.entries.first { $0.value.child.pid == pid }?.key
            guard let spawn, let line = workers[spawn]?.line else {
                targets.runEnded(task, pid: pid, .lost)
                continue
            }
            onceRuns[spawn] = WorkerRun(task: task, run: run, pid: pid, grace: grace)
            takeRunAnswer(of: spawn, line: line)
        }
    }
}
