// The table of all settings that the environment can change: the one place where each is documented.

import PreforkSystem

/// `PREFORK_*`: settings by the environment.
public enum EnvironmentSettings {
    /// Every option, in the order of the manual.
    package static let options: [EnvironmentOption] = pool + lives + host

    private static let pool: [EnvironmentOption] = [
        EnvironmentOption(
            "WORKERS", \.workers, .workers, "Number of workers. auto: one per core, by affinity and CPU quota."),
        EnvironmentOption(
            "SPARES", \.spares, .spares,
            "Workers forked ahead, which wait for a slot. auto: one, where memory allows and there is no beforeFork hook."),
        EnvironmentOption(
            "MIN_WORKERS", \.scaling.minimum, SettingFormat<Int>.integer(1...WorkerCount.maximum).orOff,
            "Smallest number of workers when the pool scales by load. Needs PREFORK_MAX_WORKERS."),
        EnvironmentOption(
            "MAX_WORKERS", \.scaling.maximum, SettingFormat<Int>.integer(1...WorkerCount.maximum).orOff,
            "Largest number of workers when the pool scales by load. Needs PREFORK_MIN_WORKERS."),
        EnvironmentOption(
            "SCALE_BUSY", \.scaling.busy, .percent,
            "CPU utilization of the pool above which workers are added."),
        EnvironmentOption(
            "SCALE_BACKLOG", \.scaling.backlog, .number,
            "Waiting connections per worker above which workers are added."),
        EnvironmentOption(
            "GROW_AFTER", \.scaling.growAfter, .duration(atLeast: .milliseconds(1)),
            "How long the pool must be too busy before it grows by a quarter."),
        EnvironmentOption(
            "SHRINK_AFTER", \.scaling.shrinkAfter, .duration(atLeast: .milliseconds(1)),
            "How long the pool must have had one worker too many before it removes one."),
        EnvironmentOption(
            "BOOT_TIMEOUT", \.bootTimeout, .duration(atLeast: .milliseconds(1)),
            "Time for a worker to become ready. After that, it is killed."),
        EnvironmentOption(
            "STOP_DELAY", \.stopDelay, .duration(atLeast: .zero),
            "How long workers serve after SIGTERM while /readyz is 503, before they drain. Another SIGTERM ends it."),
        EnvironmentOption(
            "DRAIN_TIMEOUT", \.drainTimeout, .duration(atLeast: .zero),
            "Time for a stopping worker to finish what is in flight. After that, it is killed."),
        EnvironmentOption(
            "QUICK_TIMEOUT", \.quickTimeout, .duration(atLeast: .zero),
            "Time for a worker to end after a quick stop (SIGINT). After that, it is killed."),
        EnvironmentOption(
            "MOVE_CONNECTIONS", \.movesConnections, .flag,
            "Whether open connections go to the worker that replaces theirs, where the program resumes them."),
        EnvironmentOption(
            "MOVE_TIMEOUT", \.moveTimeout, .duration(atLeast: .zero),
            "Time for connections to move to the next worker, at most half of DRAIN_TIMEOUT. The rest is drained."),
        EnvironmentOption(
            "REBALANCE", \.rebalances, .flag,
            "Whether connections move by themselves, slowly, from workers with many to workers with few."),
        EnvironmentOption(
            "RELOAD", \.reload.width, .reloadWidth,
            "How many workers a rolling reload replaces at a time. auto: a tenth."),
        EnvironmentOption(
            "PROBATION", \.reload.probation, .duration(atLeast: .zero),
            "How long new workers must survive before a reload is complete. Until then, a failed upgrade rolls back."),
        EnvironmentOption(
            "MAX_GENERATIONS", \.reload.generations, .integer(1...100),
            "Generations of workers that may live at once. Workers of older ones are killed."),
    ]

    private static let lives: [EnvironmentOption] = [
        EnvironmentOption(
            "MAX_RESTARTS", \.restarts.limitThatWasSet, SettingFormat<Int>.integer(0...Int.max).or("auto"),
            "Restarts in the pool's life. One more ends it (70). auto: 100, not counting crashes in a request.",
            property: "restarts.limit"),
        EnvironmentOption(
            "RESTART_WINDOW", \.restarts.window, SettingFormat<RestartPolicy.Window>.window.orOff,
            "Restarts of one worker within a time. One more ends the pool (70)."),
        EnvironmentOption(
            "MAX_BOOT_FAILURES", \.restarts.bootLimit, .integer(0...Int.max),
            "Deaths in a row of one worker before it is ready. One more ends the pool (75 or 70)."),
        EnvironmentOption(
            "CRASH_TIMEOUT", \.crashes.timeout, .duration(atLeast: .milliseconds(1)),
            "Time for a crashed worker to print its backtrace and end. Its successor does not wait for that."),
        EnvironmentOption(
            "CRASH_AT_ONCE", \.crashes.backtracersAtOnce, .integer(0...WorkerCount.maximum),
            "Crashed workers that may have a backtracer at the same time. Any further one is killed at its crash."),
        EnvironmentOption(
            "RECYCLE_REQUESTS", \.recycling.requests, SettingFormat<Int>.integer(1...Int.max).orOff,
            "Requests after which a worker is replaced."),
        EnvironmentOption(
            "RECYCLE_LIFETIME", \.recycling.lifetime, SettingFormat<Duration>.duration(atLeast: .milliseconds(1)).orOff,
            "Time since readiness after which a worker is replaced."),
        EnvironmentOption(
            "RECYCLE_MEMORY", \.recycling.memory, SettingFormat<Int>.bytes.orOff,
            "Resident memory above which a worker is replaced."),
        EnvironmentOption(
            "RECYCLE_JITTER", \.recycling.jitter, .percent,
            "Each worker's limits are lowered by a random share of at most this."),
        EnvironmentOption(
            "RECYCLE_AT_ONCE", \.recycling.atOnce, .integer(1...WorkerCount.maximum),
            "How many workers are recycled at a time."),
        EnvironmentOption(
            "HEARTBEAT", \.heartbeat, SettingFormat<Duration>.duration(atLeast: .milliseconds(60)).orOff,
            "Time without a heartbeat after which a worker is hung and reported with its stack."),
        EnvironmentOption(
            "HEARTBEAT_GRACE", \.heartbeatGrace, .duration(atLeast: .milliseconds(1)),
            "Time from the report of a hung worker to SIGKILL."),
        EnvironmentOption(
            "SLOW_REQUEST", \.slowRequest, SettingFormat<Duration>.duration(atLeast: .milliseconds(1)).orOff,
            "Time after which a request is logged once, with the stack where it hangs."),
        EnvironmentOption(
            "LOOP_STALL", \.loopStall, .stall,
            "Time for which a worker's event loop may stand still before it is reported, once, with its stack."),
        EnvironmentOption(
            "QUARANTINE", \.quarantine, SettingFormat<QuarantinePolicy>.quarantine.orOff,
            "Crashes within a time after which requests with the same label are refused for that time."),
    ]

    private static let host: [EnvironmentOption] = [
        EnvironmentOption(
            "CONTROL", \.controlSocket, SettingFormat<String>.path.orOff, "The control socket of preforkctl."),
        EnvironmentOption(
            "CONTROL_OWNER", \.controlOwner, SettingFormat<SocketOwner>.socketOwner.orOff,
            "Who else may use it beside root and the supervisor's user: the file's user and its group (mode 0660)."),
        EnvironmentOption(
            "METRICS", \.metrics, SettingFormat<Endpoint>.endpoint.orOff,
            "Address that serves metrics, health checks and the status page."),
        EnvironmentOption(
            "METRICS_OWNER", \.metricsOwner, SettingFormat<SocketOwner>.socketOwner.orOff,
            "User and group of the metrics socket, if it is a path. The group may connect."),
        EnvironmentOption(
            "PID_FILE", \.pidFile, SettingFormat<String>.path.orOff,
            "File with the supervisor's PID (mode 0644). Its lock is this name with `.lock`."),
        EnvironmentOption(
            "LOG_FILE", \.logFile, SettingFormat<String>.path.orOff,
            "File of the supervisor's log. off: standard error. SIGUSR1 reopens it."),
        EnvironmentOption(
            "LOG_FORMAT", \.logFormat, .logFormat, "Format of the log: text, or one JSON object per line."),
        EnvironmentOption(
            "ACCESS_LOG", \.accessLog, SettingFormat<String>.path.orOff,
            "File of the workers' access log. SIGUSR1 reopens it."),
        EnvironmentOption(
            "ACCESS_LOG_FORMAT", \.accessLogFormat, .accessLogFormat,
            "Format of the access log: the combined format, or one JSON object per line."),
        EnvironmentOption(
            "CAPTURE_OUTPUT", \.captureOutput, .outputCapture,
            "Output of workers that goes to the log. errors: standard error, on: standard output as well."),
        EnvironmentOption(
            "USER", \.privileges.user, SettingFormat<String>.text.orOff, "The workers' user, by name or number."),
        EnvironmentOption(
            "GROUP", \.privileges.group, SettingFormat<String>.text.orOff,
            "The workers' primary group. off: the user's primary group."),
        EnvironmentOption("GROUPS", \.privileges.groups, .groups, "The workers' supplementary groups."),
        EnvironmentOption(
            "UMASK", \.privileges.fileMask, SettingFormat<UInt32>.fileMask.orOff,
            "The workers' umask: permissions that new files do not get."),
        EnvironmentOption(
            "CHROOT", \.privileges.rootDirectory, SettingFormat<String>.path.orOff,
            "The workers' root directory."),
        EnvironmentOption(
            "NO_NEW_PRIVILEGES", \.privileges.noNewPrivileges, .flag,
            "Whether set-user-ID programs give the workers no further rights."),
        EnvironmentOption(
            "DUMPABLE", \.privileges.isDumpable, SettingFormat<Bool?>.flagOrKernel,
            "Whether workers may be traced and dump core. kernel: not after a change of user."),
        EnvironmentOption(
            "SANDBOX", \.sandbox, SettingFormat<Sandbox>.sandbox.orOff,
            "What the workers may still do: system calls, files, ports, signals. strict: or the pool does not start."),
        EnvironmentOption(
            "WORKER_MEMORY", \.workerMemory, SettingFormat<Int>.bytes.orOff,
            "Memory of each worker, as the limit of a control group of its own."),
        EnvironmentOption(
            "OOM_SCORE", \.outOfMemoryScore, SettingFormat<Int>.score.orOff,
            "oom_score_adj of workers and managed processes. off: the supervisor's."),
        EnvironmentOption(
            "AFFINITY", \.affinity, .affinity, "Processors of the workers. worker: one for each, in turn."),
        EnvironmentOption("TITLES", \.setsTitles, .flag, "Whether processes show their role and state in ps."),
        EnvironmentOption(
            "SERVICE", \.service, SettingFormat<String>.text.orOff, "Name of the service in process titles."),
        EnvironmentOption(
            "WATCHDOG_MINIMUM", \.watchdogMinimum, .integer(0...WorkerCount.maximum),
            "Fewest ready workers with which systemd's watchdog is still fed."),
        EnvironmentOption(
            "KEEP_SERVICE_VARIABLES", \.keepsServiceVariables, .flag,
            "Whether workers inherit NOTIFY_SOCKET and WATCHDOG_*."),
        EnvironmentOption(
            "ADOPT_ORPHANS", \.adoptsOrphans, .flag,
            "Whether the supervisor reaps its workers' orphans even if it is not PID 1."),
    ]
}

extension SettingFormat<Bool?> {
    static var flagOrKernel: Self {
        let flag = SettingFormat<Bool>.flag
        return Self(
            shape: "\(flag.shape), or kernel",
            parse: { $0 == "kernel" ? .some(nil) : flag.parse($0).map { .some($0) } },
            show: { $0.map(flag.show) ?? "kernel" })
    }
}
