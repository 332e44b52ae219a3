// Everything that an operator can set, in one value.

public import PreforkSystem

/// The settings of a pool and of the process that runs it. What the program sets is the default; the environment wins
/// (`apply`), so that an operator changes a service without a build.
///
/// Each field is documented once, with its variable: `EnvironmentSettings.options`, and `--print-config`. A program may
/// set what the variable may set: another value ends the start with a typed error that names the field (`applying`).
public struct RuntimeSettings: Sendable, Equatable {
    public var workers = WorkerCount.perCore
    public var scaling = ScalingPolicy()
    public var bootTimeout: Duration = .seconds(60)
    public var drainTimeout: Duration = .seconds(30)
    public var quickTimeout: Duration = .seconds(2)
    public var restarts = RestartPolicy()
    public var crashes = CrashPolicy()
    public var reload = ReloadPolicy()
    public var recycling = RecyclingPolicy()
    /// nil: hung workers are not looked for.
    public var heartbeat: Duration?
    public var heartbeatGrace: Duration = .seconds(2)
    /// Requests that take longer are told, once each; nil: none is looked for.
    public var slowRequest: Duration?
    /// When requests of a label are refused because they crash workers; nil: never, unless an operator says so.
    public var quarantine: QuarantinePolicy?
    /// The control socket's path; nil: none.
    public var controlSocket: String?
    /// Whose the control socket's file is, and who may connect beside the supervisor's user and root; nil: nobody.
    public var controlOwner: SocketOwner?
    /// Where metrics, health and the status page are served; nil: nowhere.
    public var metrics: Endpoint?
    /// Whose the file of a Unix socket at `metrics` is; nil: as that says.
    public var metricsOwner: SocketOwner?
    public var pidFile: String?
    /// nil: standard error.
    public var logFile: String?
    /// Which output of workers and managed processes is read, kept for reports, and written to the log.
    public var captureOutput = OutputCapture.errors
    public var logFormat = LogFormat.text
    public var privileges = Privileges()
    public var affinity = CPUAffinity.none
    /// The service's name in process titles; nil: none.
    public var service: String?
    public var setsTitles = true
    /// So many workers must be ready for the service manager's watchdog to be fed.
    public var watchdogMinimum = 1
    /// NOTIFY_SOCKET and WATCHDOG_PID stay in the environment of workers and their children.
    public var keepsServiceVariables = false
    /// Orphans of workers come to the supervisor also when it is not PID 1.
    public var adoptsOrphans = false

    public init() {}

    /// When hung workers are looked for.
    public var hangs: HangPolicy? { heartbeat.map { HangPolicy(soft: $0, grace: heartbeatGrace) } }
}
