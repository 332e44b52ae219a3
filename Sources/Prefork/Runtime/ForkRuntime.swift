// The main form: a pool of workers, each running an async body on its own event loop.

import PreforkEventLoop
public import PreforkSupervisor
import PreforkSystem

/// Forks workers that run an async body, and supervises them.
///
/// ```swift
/// let listener = try Listener(.tcp("0.0.0.0", 8080))
/// var runtime = ForkRuntime(workers: .perCore)
/// try runtime.run { worker in
///     try await listener.serve { connection in ... }
/// }
/// ```
///
/// Signals to the supervisor: SIGTERM and SIGQUIT stop gracefully, SIGINT quickly, a second SIGINT kills. SIGHUP is a
/// rolling reload, SIGTTIN and SIGTTOU one worker more or less, SIGUSR1 reopens the log, SIGUSR2 is an upgrade in
/// place. Workers end with the supervisor, however it ends.
public struct ForkRuntime: Sendable {
    /// When a worker counts as ready.
    public enum Readiness: Sendable {
        /// When `serve` begins to accept, before its first handler runs. Without `serve`, when its body first waits for
        /// anything. A worker that runs a tree of services by then is ready when the tree is up.
        case automatic
        /// When it calls `Worker.ready()`.
        case manual
    }

    /// Where a worker's tasks run.
    public enum Executor: Sendable {
        /// Everything on the worker's one thread: `Task {}`, `Task.sleep`, actors, `@MainActor`. Where that cannot be
        /// had, as `.bodyOnly`, and the log has a warning at the start (see <doc:WithoutProcessExecutor>).
        case wholeProcess
        /// The body and its child tasks run on the worker's loop. Unstructured tasks, `Task.sleep` and actors run on
        /// the threads of Swift's default executor.
        case bodyOnly
    }

    /// Everything that an operator can set. The environment wins over what the program sets here: `PREFORK_WORKERS`,
    /// `PREFORK_CONTROL` and so on, each documented on the manual's page "Settings".
    public var settings = RuntimeSettings()
    /// When a worker counts as ready.
    public var readiness = Readiness.automatic
    /// Where a worker's tasks run.
    public var executor = Executor.wholeProcess
    /// The program's own code at turning points of the pool and its workers.
    public var hooks = SupervisorHooks()
    /// Takes the supervisor's log, line by line. If nil, it goes to standard error.
    public var log: (@Sendable (LogLine) -> Void)?

    private let hold = ManagerHold()

    /// Managed processes beside the workers: `run` starts those that were added before, before the first worker, and
    /// ends them after the last. A copy of the runtime has the same manager. Targets that hooks add later are
    /// supervised if there was one before.
    ///
    /// Managed processes have the workers' rights and sandbox. Set `settings.privileges` and `settings.sandbox` before
    /// a target is started by hand, ahead of `run`.
    public var manager: ProcessManager {
        hold.manager.adopt(settings)
        return hold.manager
    }

    /// For a worker, in which the manager itself works no more.
    var tasksInWorkers: [WorkerTask] { hold.manager.tasksInWorkers }

    private final class ManagerHold: @unchecked Sendable {
        // Sendable: the reference never changes, and the manager looks at nothing that does on any thread but the one
        // that has made it, and in no other process.
        let manager = ProcessManager(isBesidePool: true)
    }

    /// - Parameters:
    ///   - workers: `.perCore`, or a number: `ForkRuntime(workers: 4)`.
    ///   - maxRestarts: as the property. If nil, it is not set.
    public init(workers: WorkerCount = .perCore, maxRestarts: Int? = nil) {
        settings.workers = workers
        if let maxRestarts { settings.restarts.limit = maxRestarts }
    }

    /// - Parameters:
    ///   - workers: the number of workers. If nil, one per core. `run` refuses zero and less.
    ///   - maxRestarts: as the property. If nil, it is not set.
    public init(workers: Int?, maxRestarts: Int? = nil) {
        self.init(workers: WorkerCount(workers), maxRestarts: maxRestarts)
    }

    /// The settings in force: `settings` and what the environment changes. What `--print-config` of a program should
    /// print is `EnvironmentSettings.text(of:)` of them:
    ///
    /// ```swift
    /// if CommandLine.arguments.contains("--print-config") {
    ///     print(EnvironmentSettings.text(of: try runtime.effectiveSettings()))
    ///     exit(0)
    /// }
    /// ```
    ///
    /// - Throws: `EnvironmentSettingsError` with every variable that makes no sense.
    public func effectiveSettings() throws(EnvironmentSettingsError) -> RuntimeSettings {
        try settings.applyingEnvironment()
    }

    /// Whether this process has one thread and Swift concurrency will not add another: true in a worker whose loop is
    /// the executor of the whole process, until its own code starts threads. False in every process of a program in
    /// which that cannot be had (see <doc:WithoutProcessExecutor>).
    public static var isSingleThreaded: Bool {
        ProcessExecutor.isInstalled && threadCount() == 1
    }

    /// Forks the workers, supervises them, and returns when the last one has ended. A worker runs `body` and ends with
    /// it: exit code 0 if it returns, 1 with a line on standard error if it throws, `ServiceError.exitCode` if a tree
    /// of services ended with that error.
    ///
    /// Must be called before anything in this process has started a thread. `async main` is fine before its first
    /// suspension.
    ///
    /// - Throws: `SupervisorError` when no worker could be made: `.multithreaded`, `.unstartedTask`,
    ///   `.alreadyForked`, `.badWorkerCount`, `.badSettings`, `.host`, `.targets`, `.system`.
    @discardableResult
    public func run(
        _ body: @escaping @Sendable (Worker) async throws -> Void
    ) throws(SupervisorError) -> SupervisorSummary {
        var runtime = self
        do {
            runtime.settings = try effectiveSettings()
        } catch {
            throw SupervisorError(.badSettings("\(error)"))
        }
        var configuration = try SupervisorConfiguration(runtime.settings)
        configuration.hooks = hooks
        configuration.log = log
        FamilyNames.prepare()
        let supervisor = try Supervisor(configuration, beside: manager.beside(log: log))
        let wantsWholeProcess = executor == .wholeProcess || manager.hasLoopTargets
        supervisor.warnAtStart(wantsWholeProcess ? LoopMain.executorWarning : nil)
        LoopMain.warmUp()
        switch try supervisor.run() {
        case .supervisor(let summary): return summary
        case .worker(let handle): WorkerProcessMain(handle: handle, runtime: runtime).run(body)
        }
    }
}
