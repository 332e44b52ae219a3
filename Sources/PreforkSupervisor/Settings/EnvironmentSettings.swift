// The table of all settings that the environment can change: the one place where each is documented.

import PreforkSystem

/// `PREFORK_*`: settings by the environment.
public enum EnvironmentSettings {
    /// Every option, in the order of the manual.
    package static let options: [EnvironmentOption] = pool + lives + host

    private static let pool: [EnvironmentOption] = [
        EnvironmentOption("WORKERS", \.workers, .workers, "Workers; auto: one per core, by affinity and CPU quota."),
        EnvironmentOption(
            "MIN_WORKERS", \.scaling.minimum, SettingFormat<Int>.integer(1...WorkerCount.maximum).orOff,
            "With PREFORK_MAX_WORKERS: the pool scales itself by load, never below."),
        EnvironmentOption(
            "MAX_WORKERS", \.scaling.maximum, SettingFormat<Int>.integer(1...WorkerCount.maximum).orOff,
            "With PREFORK_MIN_WORKERS: the pool scales itself by load, never above."),
        EnvironmentOption(
            "SCALE_BUSY", \.scaling.busy, .percent,
            "Share of the workers' time on the processor from which there are to be more."),
        EnvironmentOption(
            "SCALE_BACKLOG", \.scaling.backlog, .number,
            "Connections waiting for each worker from which there are to be more."),
        EnvironmentOption(
            "GROW_AFTER", \.scaling.growAfter, .duration(atLeast: .milliseconds(1)),
            "How long it must be too busy before the pool grows, by a quarter."),
        EnvironmentOption(
            "SHRINK_AFTER", \.scaling.shrinkAfter, .duration(atLeast: .milliseconds(1)),
            "How long it must have had one worker too many before it loses one."),
        EnvironmentOption(
            "BOOT_TIMEOUT", \.bootTimeout, .duration(atLeast: .milliseconds(1)),
            "A worker that is not ready by then is killed."),
        EnvironmentOption(
            "DRAIN_TIMEOUT", \.drainTimeout, .duration(atLeast: .zero),
            "Time for a stopping worker to finish what is in flight, then it is killed."),
        EnvironmentOption(
            "QUICK_TIMEOUT", \.quickTimeout, .duration(atLeast: .zero),
            "Time for a worker to end after a quick stop (SIGINT), then it is killed."),
        EnvironmentOption(
            "RELOAD", \.reload.width, .reloadWidth,
            "How many workers a rolling reload replaces at a time; auto: a tenth."),
        EnvironmentOption(
            "PROBATION", \.reload.probation, .duration(atLeast: .zero),
            "How long new workers must hold before a reload is over and an upgrade's way back is closed."),
        EnvironmentOption(
            "MAX_GENERATIONS", \.reload.generations, .integer(1...100),
            "Generations of workers that live at once; older ones are killed."),
    ]

    private static let lives: [EnvironmentOption] = [
        EnvironmentOption(
            "MAX_RESTARTS", \.restarts.limitThatWasSet, SettingFormat<Int>.integer(0...Int.max).or("auto"),
            "Restarts in the pool's life; one more ends it (70). auto: 100, without crashes in a request.",
            property: "RuntimeSettings.restarts.limit"),
        EnvironmentOption(
            "RESTART_WINDOW", \.restarts.window, SettingFormat<RestartPolicy.Window>.window.orOff,
            "More restarts of one worker within a time end the pool (70)."),
        EnvironmentOption(
            "MAX_BOOT_FAILURES", \.restarts.bootLimit, .integer(0...Int.max),
            "Deaths in a row of one worker before it is ready; one more ends the pool (75 or 70)."),
        EnvironmentOption(
            "CRASH_TIMEOUT", \.crashes.timeout, .duration(atLeast: .milliseconds(1)),
            "Time for a worker that has crashed to end, with its backtrace; its successor is there by then."),
        EnvironmentOption(
            "CRASH_AT_ONCE", \.crashes.backtracersAtOnce, .integer(0...WorkerCount.maximum),
            "Crashed workers at a time that may have a backtracer; one more is killed at its crash."),
        EnvironmentOption(
            "RECYCLE_REQUESTS", \.recycling.requests, SettingFormat<Int>.integer(1...Int.max).orOff,
            "A worker is replaced after so many requests."),
        EnvironmentOption(
            "RECYCLE_LIFETIME", \.recycling.lifetime, SettingFormat<Duration>.duration(atLeast: .milliseconds(1)).orOff,
            "A worker is replaced when it was ready for so long."),
        EnvironmentOption(
            "RECYCLE_MEMORY", \.recycling.memory, SettingFormat<Int>.bytes.orOff,
            "A worker is replaced when its resident memory is larger."),
        EnvironmentOption(
            "RECYCLE_JITTER", \.recycling.jitter, .percent,
            "Each limit is up to so much lower, drawn for each worker."),
        EnvironmentOption(
            "RECYCLE_AT_ONCE", \.recycling.atOnce, .integer(1...WorkerCount.maximum),
            "Workers being recycled at a time."),
        EnvironmentOption(
            "HEARTBEAT", \.heartbeat, SettingFormat<Duration>.duration(atLeast: .milliseconds(60)).orOff,
            "A worker without a sign of life for so long is hung: reported with its stack."),
        EnvironmentOption(
            "HEARTBEAT_GRACE", \.heartbeatGrace, .duration(atLeast: .milliseconds(1)),
            "From the report of a hung worker to SIGKILL."),
        EnvironmentOption(
            "SLOW_REQUEST", \.slowRequest, SettingFormat<Duration>.duration(atLeast: .milliseconds(1)).orOff,
            "A request that takes longer is logged once, with the stack where it hangs."),
        EnvironmentOption(
            "QUARANTINE", \.quarantine, SettingFormat<QuarantinePolicy>.quarantine.orOff,
            "Requests of a label that crash workers so often within a time are refused for that time."),
    ]

    private static let host: [EnvironmentOption] = [
        EnvironmentOption(
            "CONTROL", \.controlSocket, SettingFormat<String>.path.orOff, "The control socket of preforkctl."),
        EnvironmentOption(
            "CONTROL_OWNER", \.controlOwner, SettingFormat<SocketOwner>.socketOwner.orOff,
            "Who may use it beside the supervisor's user and root: its file's user, and all in the group (mode 0660)."),
        EnvironmentOption(
            "METRICS", \.metrics, SettingFormat<Endpoint>.endpoint.orOff,
            "Where metrics, health and status page are served."),
        EnvironmentOption(
            "METRICS_OWNER", \.metricsOwner, SettingFormat<SocketOwner>.socketOwner.orOff,
            "The file's user and group, where that is a path; the group may connect."),
        EnvironmentOption(
            "PID_FILE", \.pidFile, SettingFormat<String>.path.orOff,
            "Holds the supervisor's pid (mode 0644); its lock is this name with `.lock`."),
        EnvironmentOption(
            "LOG_FILE", \.logFile, SettingFormat<String>.path.orOff,
            "The supervisor's log; off: standard error. SIGUSR1 reopens it."),
        EnvironmentOption(
            "LOG_FORMAT", \.logFormat, .logFormat, "Lines of the supervisor's log: text, or a JSON object each."),
        EnvironmentOption(
            "ACCESS_LOG", \.accessLog, SettingFormat<String>.path.orOff,
            "The workers' log of served requests. SIGUSR1 reopens it."),
        EnvironmentOption(
            "ACCESS_LOG_FORMAT", \.accessLogFormat, .accessLogFormat,
            "Lines of the access log: the combined format, or a JSON object each."),
        EnvironmentOption(
            "CAPTURE_OUTPUT", \.captureOutput, .outputCapture,
            "Output of workers that goes to the supervisor's log: standard error; on: standard output, too."),
        EnvironmentOption(
            "USER", \.privileges.user, SettingFormat<String>.text.orOff, "The workers' user, by name or number."),
        EnvironmentOption(
            "GROUP", \.privileges.group, SettingFormat<String>.text.orOff,
            "The workers' main group; off: that of the user."),
        EnvironmentOption("GROUPS", \.privileges.groups, .groups, "The workers' supplementary groups."),
        EnvironmentOption(
            "UMASK", \.privileges.fileMask, SettingFormat<UInt32>.fileMask.orOff,
            "Permissions that new files do not get."),
        EnvironmentOption(
            "CHROOT", \.privileges.rootDirectory, SettingFormat<String>.path.orOff,
            "The directory that is the workers' root."),
        EnvironmentOption(
            "NO_NEW_PRIVILEGES", \.privileges.noNewPrivileges, .flag,
            "Set-user-ID programs give the workers no rights."),
        EnvironmentOption(
            "DUMPABLE", \.privileges.isDumpable, SettingFormat<Bool?>.flagOrKernel,
            "Whether workers may be traced and dump core; kernel: not after a change of user."),
        EnvironmentOption(
            "AFFINITY", \.affinity, .affinity, "Processors of the workers; worker: one for each, in turn."),
        EnvironmentOption("TITLES", \.setsTitles, .flag, "Processes show their role and state in ps."),
        EnvironmentOption("SERVICE", \.service, SettingFormat<String>.text.orOff, "The service's name in titles."),
        EnvironmentOption(
            "WATCHDOG_MINIMUM", \.watchdogMinimum, .integer(0...WorkerCount.maximum),
            "Ready workers without which systemd's watchdog is not fed."),
        EnvironmentOption(
            "KEEP_SERVICE_VARIABLES", \.keepsServiceVariables, .flag, "Workers inherit NOTIFY_SOCKET and WATCHDOG_*."),
        EnvironmentOption(
            "ADOPT_ORPHANS", \.adoptsOrphans, .flag,
            "The supervisor reaps its workers' orphans also when it is not PID 1."),
    ]
}

extension SettingFormat<Bool?> {
    static var flagOrKernel: Self {
        let flag = SettingFormat<Bool>.flag
        return Self(
            shape: "\(flag.shape); or kernel",
            parse: { $0 == "kernel" ? .some(nil) : flag.parse($0).map { .some($0) } },
            show: { $0.map(flag.show) ?? "kernel" })
    }
}
