// The tornado form: one call after which the caller is a worker.

import PreforkSystem

/// Forks worker processes and supervises them. Returns only in the workers.
///
/// A worker that ends by a signal or a non-zero exit code is forked again with the same task ID; one that ends with
/// exit code 0 is done. In the supervisor the call does not return: the process ends with exit code 0 once every
/// worker has ended normally or on request (SIGTERM, SIGQUIT: graceful; SIGINT: quick), with 70 after one restart
/// more than `maxRestarts`, when the others have been stopped, with 75 when no worker ever came up.
///
/// Bind listeners before; start threads, tasks or Dispatch after. The worker's signals have their default actions: a
/// worker that wants to drain on SIGTERM handles it, or uses `ForkRuntime`. Except SIGPIPE, which is ignored, and the
/// signals that are orders to the supervisor and may come to the whole process group (HUP, USR1, USR2, WINCH, TTIN,
/// TTOU), which have a handler that does nothing, unless the program has its own or they were ignored (nohup(1)).
///
/// `PREFORK_*` variables change the settings as for `ForkRuntime`, but for the heartbeat, which needs its event loop,
/// and for PREFORK_WORKERS where `count` is given. An operator may still scale such a pool, by hand or by load.
/// SIGHUP is a rolling reload, SIGTTIN and SIGTTOU one worker more or less, SIGUSR2 an in-place upgrade. A reload and
/// an upgrade begin every task ID anew, those that are done among them, as long as one worker is left.
///
/// Follows tornado.process.fork_processes, but counts CPUs by affinity and cgroup quota, stops the siblings when it
/// gives up (tornado #2993), leaves no orphan when it dies (tornado #1912), and waits before a slot's fourth quick
/// restart (see `Backoff`).
///
/// - Parameters:
///   - count: how many workers; nil or not above zero: one per core, or PREFORK_WORKERS.
///   - maxRestarts: how many restarts in the whole life of the pool; not below zero; nil: 100.
/// - Returns: the task ID, 0 ..< count.
/// - Throws: `.alreadyForked` in a worker, `.multithreaded` when this process has more than one thread,
///   `.badWorkerCount`, `.badSettings`, `.system`.
@discardableResult
public func forkProcesses(_ count: Int? = nil, maxRestarts: Int? = nil) throws(SupervisorError) -> Int {
    if TaskIdentity.current != nil { throw SupervisorError(.alreadyForked) }
    var settings = RuntimeSettings()
    settings.restarts.limit = maxRestarts ?? 100
    do {
        settings = try settings.applyingEnvironment()
    } catch {
        throw SupervisorError(.badSettings("\(error)"))
    }
    // The caller counts on the task IDs 0 ..< count.
    if let count, count > 0 { settings.workers = .count(count) }
    // Whatever loop the program has, it gives no signs of life that anybody would see.
    settings.heartbeat = nil
    settings.slowRequest = nil
    let supervisor = try Supervisor(SupervisorConfiguration(settings))
    supervisor.warnOfUnknownVariables()
    switch try supervisor.run() {
    case .worker(let seat):
        // From here on the program's own code runs: nobody else will say when it is ready.
        seat.markReady()
        SignalMask.restore(seat.signalMask)
        return seat.info.taskID
    case .supervisor(let summary):
        CurrentProcess.exit(code: summary.outcome.exitCode)
    }
}

/// This worker's task ID, 0 ..< count; nil in a process that neither `forkProcesses` nor `ForkRuntime` made.
///
/// Follows tornado.process.task_id.
public func taskID() -> Int? {
    TaskIdentity.current?.taskID
}
