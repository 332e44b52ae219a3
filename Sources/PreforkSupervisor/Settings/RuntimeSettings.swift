// Everything that an operator can set, in one value.

public import PreforkSystem

/// The settings of a pool and of the process that runs it. What the program sets is the default. The environment wins
/// (`apply`), so that an operator can change a service without a build.
///
/// Each field is documented once, with its variable: `EnvironmentSettings.options`, and `--print-config`. A program may
/// set what the variable may set: another value ends the start with a typed error that names the field (`applying`).
public struct RuntimeSettings: Sendable, Equatable {
    /// The number of workers (`PREFORK_WORKERS`). Default: one per core, by affinity and CPU quota.
    public var workers = WorkerCount.perCore
    /// How many workers are forked ahead (`PREFORK_SPARES`). Default: one, where memory allows.
    public var spares = SpareCount.automatic
    /// When the pool changes its number of workers by load. Default: never.
    public var scaling = ScalingPolicy()
    /// The time for a worker to become ready, after which it is killed (`PREFORK_BOOT_TIMEOUT`).
    public var bootTimeout: Duration = .seconds(60)
    /// How long a pool that is asked to stop still serves, while its readiness check says no already
    /// (`PREFORK_STOP_DELAY`). A second request ends the delay, and a quick stop has none.
    public var stopDelay: Duration = .zero
    /// The time for a worker to finish what is in flight, after which it is killed (`PREFORK_DRAIN_TIMEOUT`).
    public var drainTimeout: Duration = .seconds(30)
    /// The time for a worker to end after a quick stop, after which it is killed (`PREFORK_QUICK_TIMEOUT`).
    public var quickTimeout: Duration = .seconds(2)
    /// Whether open connections go from a worker that is replaced to the one that follows (`PREFORK_MOVE_CONNECTIONS`), where
    /// its servers resume them. Otherwise they are drained.
    public var movesConnections = true
    /// The time for them to move, of which none is more than half the drain timeout (`PREFORK_MOVE_TIMEOUT`). What has not
    /// moved by then is drained.
    public var moveTimeout: Duration = .seconds(5)
    /// Whether the pool moves connections by itself from workers with many to workers with few, some at a time
    /// (`PREFORK_REBALANCE`). `preforkctl rebalance` does it once.
    public var rebalances = false
    /// How often and how soon workers that have died are replaced.
    public var restarts = RestartPolicy()
    /// How much time crashed workers have for their backtrace, and how many may take it at a time.
    public var crashes = CrashPolicy()
    /// How many workers a reload replaces at a time, and how long they must hold.
    public var reload = ReloadPolicy()
    /// Limits after which a worker is replaced. Default: none.
    public var recycling = RecyclingPolicy()
    /// The silence after which a worker is hung (`PREFORK_HEARTBEAT`). If nil, hangs are not detected.
    public var heartbeat: Duration?
    /// The time from the report of a hung worker to SIGKILL (`PREFORK_HEARTBEAT_GRACE`).
    public var heartbeatGrace: Duration = .seconds(2)
    /// Requests that take longer are logged once each. If nil, slow requests are not detected.
    public var slowRequest: Duration?
    /// A worker's loop that has been in one turn for so long is reported once, with its stack (`PREFORK_LOOP_STALL`).
    /// If nil, loops are not watched.
    public var loopStall: Duration? = .milliseconds(100)
    /// When requests of a label are refused because they crash workers. If nil, only an operator can refuse them.
    public var quarantine: QuarantinePolicy?
    /// The control socket's path. If nil, there is no control socket.
    public var controlSocket: String?
    /// Owner of the control socket's file. It may connect, too. If nil, only the supervisor's user and root may.
    public var controlOwner: SocketOwner?
    /// The address that serves metrics, health checks and the status page. If nil, they are not served.
    public var metrics: Endpoint?
    /// Owner of the file, if `metrics` is a Unix socket. If nil, the owner that `metrics` gives.
    public var metricsOwner: SocketOwner?
    /// The path of a file that names the supervisor's process while it runs. If nil, there is none.
    public var pidFile: String?
    /// The path of the log file. If nil, the log goes to standard error.
    public var logFile: String?
    /// Which output of workers and managed processes is read, kept for reports, and written to the log.
    public var captureOutput = OutputCapture.errors
    /// Whether log lines are text or JSON objects (`PREFORK_LOG_FORMAT`).
    public var logFormat = LogFormat.text
    /// The path of the access log, which workers write (`PREFORK_ACCESS_LOG`). If nil, there is none. The supervisor opens
    /// it before workers give up rights, and opens it again with its own log.
    public var accessLog: String?
    /// How the lines of the access log are written (`PREFORK_ACCESS_LOG_FORMAT`).
    public var accessLogFormat = AccessLogFormat.combined
    /// The rights that workers, and managed processes with `.workers`, give up after the fork. Default: they keep all.
    public var privileges = Privileges()
    /// What workers, and managed processes with the workers' rights, may still do after they have given up rights
    /// (`PREFORK_SANDBOX`). If nil, all that the kernel lets them.
    public var sandbox: Sandbox?
    /// Bytes of memory that each worker may have, with what it starts (`PREFORK_WORKER_MEMORY`). The kernel kills a worker
    /// that takes more, if the supervisor can give it a control group of its own. Otherwise it is replaced. If nil, workers
    /// have no limit of their own.
    public var workerMemory: Int?
    /// How early the kernel kills workers and managed processes when memory is used up, -1000...1000
    /// (`PREFORK_OOM_SCORE`). If nil, they have the supervisor's score.
    public var outOfMemoryScore: Int?
    /// The processors that workers run on (`PREFORK_AFFINITY`).
    public var affinity = CPUAffinity.none
    /// The service's name in process titles. If nil, titles have no name.
    public var service: String?
    /// Whether ps(1) shows each process's role and state (`PREFORK_TITLES`).
    public var setsTitles = true
    /// The number of ready workers below which the service manager's watchdog is not fed.
    public var watchdogMinimum = 1
    /// NOTIFY_SOCKET and WATCHDOG_PID stay in the environment of workers and their children.
    public var keepsServiceVariables = false
    /// The supervisor reaps orphans of workers even if it is not PID 1.
    public var adoptsOrphans = false

    /// The default of every setting.
    public init() {}

    /// When workers count as hung.
    public var hangs: HangPolicy? { heartbeat.map { HangPolicy(soft: $0, grace: heartbeatGrace) } }
}
