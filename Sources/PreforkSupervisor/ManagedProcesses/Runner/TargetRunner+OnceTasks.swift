// Once-tasks: each run is a process of its target. What the table wants done is done here.

import PreforkSystem

// A run is over when the kernel says so: its process was reaped. Nothing that the process writes or says counts. So no
// process of a task can have the next one begin beside it, whether it is stopped (SIGSTOP), traced, or hostile.

extension TargetRunner {
    /// Adds a target that `OnceTable` starts.
    ///
    /// - Throws: `.duplicate`, `.badName`, `.badSettings`, `.system`.
    package func add(
        _ task: OnceSettings, _ settings: TargetSettings, _ body: @escaping Body
    ) throws(ProcessError) {
        try task.check()
        var settings = settings
        settings.isOnceTask = true
        settings.onFailure = .ignore
        _ = try add(settings, body)
        once.add(task, at: .now)
        if task.schedule.isByWallClock { watchClock() }
    }

    /// Adds a task that runs in a worker.
    ///
    /// - Throws: `.duplicate`, `.badName`, `.badSettings`.
    package func addInWorker(_ task: OnceSettings) throws(ProcessError) {
        try task.check()
        if task.name.isEmpty { throw ProcessError(.badName(task.name)) }
        if table[task.name] != nil || once.knows(task.name) { throw ProcessError(.duplicate(task.name)) }
        once.add(task, at: .now)
        if task.schedule.isByWallClock { watchClock() }
    }

    /// Without a notice the schedule follows a change of the clock at the next event or due time.
    private func watchClock() {
        guard clockNotice == nil, let notice = try? ClockNotice() else { return }
        do throws(SystemError) { try epoll.add(notice.number, .readable, word: Source.clock) } catch { return }
        notice.arm()
        clockNotice = notice
    }

    /// The schedules begin, or continue where the previous image has left them.
    func beginOnceTasks() {
        if once.isEmpty { return }
        perform(
            once.begin(at: .now) { [elders, onceWorkers] pid in
                elders.values.contains { $0.child.pid == pid } || onceWorkers?.isWorker(pid) == true
            })
        turnOnceTasks()
        handleQueue()
    }

    /// No run begins from now on.
    package func holdOnceTasks() {
        if once.isRunning { perform(once.hold()) }
    }

    /// What is due.
    func turnOnceTasks() {
        if once.isEmpty { return }
        if table.isStoppingAll { holdOnceTasks() }
        once.collect(stuck: Set(late.processes + (onceWorkers?.unreapedWorkers ?? [])))
        let actions = once.tick(at: .now) { [self] in isFree($0) }
        perform(actions)
    }

    /// Whether no process of the task's target lives: neither its own, nor one that crashes or is of the previous image.
    /// `OnceTask` knows one that cannot be collected.
    private func isFree(_ name: String) -> Bool {
        // One that runs in workers has no target.
        guard let target = table[name] else { return true }
        return children[target.number] == nil && table.status(of: target).isAtRest
    }

    private func perform(_ actions: [OnceAction]) {
        for action in actions {
            switch action {
            case .begin(let name, _):
                // One that runs in a worker has no target: `beginRunsInWorkers`.
                if let number = table.numbers[name] { queue.append(.start(number)) }
            case .end(let name):
                if onceWorkers?.endRun(of: name) == true { continue }
                if let number = table.numbers[name] { queue.append(.stop(number, within: nil)) }
            case .report(let report):
                logger.say(report.line, by: report.cause)
            }
        }
    }

    /// What happens to the processes of tasks.
    ///
    /// - Returns: whether the log needs no other line.
    func tellOnceTasks(_ report: TargetReport) -> Bool {
        switch report {
        case .forked(let name, let pid, _) where once[name] != nil:
            perform(once.forked(name, pid: pid, at: .now))
            return true
        case .ready(let name, _, _):
            return once[name] != nil
        case .exited(let exit) where once[exit.name] != nil:
            if !isLeaseCode(exit) { logger.say(report.line, by: report.cause) }
            let isStuck = late.processes.contains(exit.pid)
            let wasAsked = exit.consequence == .none && !exit.status.isSuccess
            perform(
                once.ended(exit.name, pid: exit.pid, exit.status, wasAsked: wasAsked, isStuck: isStuck, at: .now) {
                    [self] in isFree($0)
                })
            return true
        default: return false
        }
    }

    /// The table has a line of its own for a run that had no lease.
    private func isLeaseCode(_ exit: TargetExit) -> Bool {
        guard once[exit.name]?.settings.isLeased == true else { return false }
        return [OnceLeaseCode.elsewhere, OnceLeaseCode.noLease].contains { exit.status == .exited(code: $0) }
    }

    // Runs in workers

    /// Finds workers for the runs that wait for one.
    func beginRunsInWorkers() {
        guard let onceWorkers, once.isRunning else { return }
        for (settings, ticket) in once.runsToBegin {
            if let pid = onceWorkers.begin(ticket, of: settings) {
                perform(once.forked(settings.name, pid: pid, at: .now))
            }
        }
    }

    /// A worker has answered, or has ended.
    func runEnded(_ name: String, pid: Int32, _ status: ExitStatus, isStuck: Bool = false) {
        // In a stop it had the time in which the worker ends.
        let wasAsked = !once.isRunning
        perform(
            once.ended(name, pid: pid, status, wasAsked: wasAsked, isStuck: isStuck, at: .now) { [self] in isFree($0) })
    }

    /// The runs of the previous image that no managed process has.
    var runsInWorkers: [(task: String, run: UInt64, pid: Int32, grace: Duration)] {
        once.tasks.compactMap { task in
            guard let pid = task.pid, let ticket = task.current,
                !elders.values.contains(where: { $0.child.pid == pid })
            else { return nil }
            return (task.name, ticket.run, pid, task.settings.grace)
        }
    }

    // Operators

    package var onceStatuses: [OnceStatus] {
        let now = OnceInstant.now
        return once.tasks.map { $0.status(at: now) }
    }

    /// Has a task run now.
    ///
    /// - Returns: the number of the run, or why there is none.
    func requestRun(of name: String) -> Result<UInt64, OnceTask.Refusal> {
        let threads = threadCount()
        if threads > 1 { return .failure(.init(text: "\(ProcessError(.multithreaded(threads: threads)))")) }
        let (result, actions) = once.request(name, at: .now) { [self] in isFree($0) }
        perform(actions)
        return result
    }
}
