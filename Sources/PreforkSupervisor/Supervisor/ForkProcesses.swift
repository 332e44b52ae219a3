// The tornado form: one call after which the caller is a worker.

import PreforkSystem

/// Forks worker processes and supervises them. Returns only in the workers.
///
/// A worker that ends by a signal or a non-zero exit code is forked again with the same task ID. A worker that ends
/// with exit code 0 is done. In the supervisor the call does not return: the process ends with exit code 0 once every
/// worker has ended normally or on request (graceful by SIGTERM and SIGQUIT, quick by SIGINT). It ends with 70 after
/// one restart more than `maxRestarts`, once the other workers have been stopped, and with 75 if no worker ever came
/// up.
///
/// Bind listeners before the call. Start threads, tasks or Dispatch after it. The worker's signals have their default
/// actions: a worker that wants to drain on SIGTERM handles it, or uses `ForkRuntime`. Except SIGPIPE, which is
/// ignored, and the signals that are orders to the supervisor and may come to the whole process group (HUP, USR1, USR2,
/// WINCH, TTIN, TTOU), which have a handler that does nothing, unless the program has its own or they were ignored
/// (nohup(1)).
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
///   - count: the number of workers. If nil or not above zero, one per core, or `PREFORK_WORKERS`.
///   - maxRestarts: the number of restarts in the whole life of the pool, zero or more. If nil, 100.
/// - Returns: the task ID, 0 ..< count.
/// - Throws: `.alreadyForked` in a worker, `.multithreaded` when this process has more than one thread,
///   `.unstartedTask`, `.badWorkerCount`, `.badSettings`, `.system`.
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
    // Each worker is a copy of its caller at the moment of its fork, as with tornado.
    settings.spares = .none
    // Whatever loop the program has, the supervisor sees no heartbeats of it.
    settings.heartbeat = nil
    settings.slowRequest = nil
    settings.loopStall = nil
    let supervisor = try Supervisor(SupervisorConfiguration(settings))
    supervisor.warnAtStart()
    switch try supervisor.run() {
    case .worker(let handle):
        // From here on the program's own code runs, and it will not report when it is ready.
        handle.markReady()
        SignalMask.restore(handle.signalMask)
        return handle.info.taskID
    case .supervisor(let summary):
        CurrentProcess.exit(code: summary.outcome.exitCode)
    }
}

/// This worker's task ID, 0 ..< count. If nil, neither `forkProcesses` nor `ForkRuntime` made this process.
///
/// Follows tornado.process.task_id.
public func taskID() -> Int? {
    TaskIdentity.current?.taskID
}
