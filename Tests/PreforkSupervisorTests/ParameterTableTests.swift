// Every public parameter of PreforkSupervisor with values that make no sense.

import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkSupervisor

/// The variables of the environment have a table of their own: `EnvironmentSettingsTests`.
@Suite(.timeLimit(.minutes(10))) struct ParameterTableTests {
    @Test(arguments: table + commands) func everyValueHasItsMeaningOrItsError(_ row: ParameterRow) async {
        await row.check()
    }

    @Test func noParameterIsMissing() {
        expectComplete(
            Self.table, module: "PreforkSupervisor",
            reasons: [
                "EnvironmentSettingsError.Problem": "what is wrong with a variable",
                "ExitConsequence": "what follows from an end", "ExitReport": "how a worker ended",
                "CrashReport": "what a crashed worker told", "StackFrame": "where it was",
                "RequestReport": "what a worker had in hand",
                "LastWords": "what a child wrote last",
                "LogFields": "what a line of the log is about", "LogLine": "what the log tells",
                "SupervisorSummary": "how the pool ended",
                "TargetConsequence": "what follows from an end", "TargetExit": "how a process ended",
                "TargetReport": "what the manager tells", "TargetStatus": "what the manager tells",
                "WorkerInfo": "which worker it is",
                "RuntimeSettings.applying.environment": "has a table of its own, EnvironmentSettingsTests",
                "ControlCode.init.rawValue": "any code; one without a meaning is counted and ignored: TargetTableTests",
            ])
    }

    /// What a runtime does with settings before it forks, and what a pool does with what it was given.
    private static func use(_ change: (inout RuntimeSettings) -> Void) throws {
        var settings = RuntimeSettings()
        settings.workers = .count(2)
        change(&settings)
        let configuration = try SupervisorConfiguration(settings.applying([:]))
        var now = MonotonicInstant.now
        var pool = Pool(workers: 2, settings: configuration.poolSettings, now: now, seed: 1)
        // Workers die, ready and not ready, and are started again as the settings say.
        for round in 0..<40 {
            for action in pool.handle(.tick, at: now) {
                guard case .fork(let slot, let spawn) = action else { continue }
                _ = pool.handle(.forked(slot: slot, pid: 1, spawn: spawn), at: now)
                if round % 3 != 0 { _ = pool.handle(.ready(slot: slot, spawn: spawn), at: now) }
                let sample = WorkerSample(slot: slot, spawn: spawn, requests: 1, memory: 1)
                _ = pool.handle(.sample([sample], backlog: 1), at: now)
                let crash = ProcessExit(status: .signaled(.kill, coreDumped: false), usage: ResourceUsage())
                if round % 2 == 0 { _ = pool.handle(.exited(slot: slot, spawn: spawn, crash), at: now) }
            }
            now = now + .milliseconds(700)
        }
        _ = (pool.nextDeadline, pool.nextSample)
        _ = pool.handle(.stop(.graceful), at: now)
        #expect(!EnvironmentSettings.text(of: settings).isEmpty)
    }

    private static let table: [ParameterRow] =
        counts + times + lives + scaling + backoffs + hostTexts + endpoints + rights + functions

    /// Rows of a number that has no meaning below `least`, and none above a limit or all of them.
    private static func count(
        _ parameter: String, _ named: String, zero: Outcome? = nil, huge: Outcome? = nil,
        _ set: @escaping @Sendable (inout RuntimeSettings, Int) -> Void
    ) -> [ParameterRow] {
        Parameter.number(
            parameter, zero: zero ?? .refused(named, "0"), negative: .refused(named, "-"),
            huge: huge ?? .refused(named, "\(Int.max)")
        ) { (number: Int) in try use { set(&$0, number) } }
    }

    private static let counts: [ParameterRow] =
        Parameter.number(
            "WorkerCount.count.0", zero: .refused("number of workers: 0"), negative: .refused("number of workers: -"),
            huge: .refused("number of workers: \(Int.max)")
        ) { (count: Int) in try use { $0.workers = .count(count) } }
        + Parameter.number(
            "WorkerCount.init.integerLiteral", zero: .refused("number of workers: 0"),
            negative: .refused("number of workers: -"), huge: .refused("number of workers: \(Int.max)")
        ) { (count: Int) in try use { $0.workers = WorkerCount(integerLiteral: count) } }
        + count("SpareCount.count.count", "spares", zero: .means("none")) { $0.spares = .count($1) }
        + count("SpareCount.init.integerLiteral", "spares", zero: .means("none")) { $0.spares = SpareCount(integerLiteral: $1) }
        + count("RestartPolicy.init.limit", "restarts.limit", zero: .means("no restart"), huge: .means("no limit")) {
            $0.restarts = RestartPolicy(limit: $1)
        }
        + count("RestartPolicy.init.bootLimit", "restarts.bootLimit", zero: .means("none"), huge: .means("no limit")) {
            $0.restarts = RestartPolicy(bootLimit: $1)
        }
        + count("RestartPolicy.Window.init.count", "restarts.window", huge: .means("no limit")) {
            $0.restarts.window = RestartPolicy.Window(count: $1, per: .seconds(1))
        }
        + count("QuarantinePolicy.init.crashes", "quarantine") {
            $0.quarantine = QuarantinePolicy(crashes: $1, per: .seconds(1))
        }
        + count("ReloadPolicy.init.generations", "reload.generations") { $0.reload = ReloadPolicy(generations: $1) }
        + count("CrashPolicy.init.backtracersAtOnce", "crashes.backtracersAtOnce", zero: .means("no backtracer")) {
            $0.crashes = CrashPolicy(backtracersAtOnce: $1)
        }
        + count("ReloadPolicy.Width.surge.0", "reload.width") { $0.reload.width = .surge($1) }
        + count("ReloadPolicy.Width.unavailable.0", "reload.width") { $0.reload.width = .unavailable($1) }
        + count("RuntimeSettings.watchdogMinimum", "watchdogMinimum", zero: .means("none need be ready")) {
            $0.watchdogMinimum = $1
        }
        + count("CPUAffinity.processors.0", "affinity", zero: .means("the first processor")) {
            $0.affinity = .processors([$1])
        }
        + Parameter.list(
            "CPUAffinity.processors.0", of: 0, empty: .refused("affinity"), huge: .means("the first processor")
        ) {
            (processors: [Int]) in try use { $0.affinity = .processors(processors) }
        }

    /// Rows of a time.
    private static func time(
        _ parameter: String, _ named: String, zero: Outcome? = nil,
        _ set: @escaping @Sendable (inout RuntimeSettings, Duration) -> Void
    ) -> [ParameterRow] {
        Parameter.duration(
            parameter, zero: zero ?? .refused(named, "0"), negative: .refused(named),
            huge: .means("292 years, which is for ever")
        ) { time in try use { set(&$0, time) } }
    }

    private static let times: [ParameterRow] =
        time("RuntimeSettings.bootTimeout", "bootTimeout") { $0.bootTimeout = $1 }
        + time("RuntimeSettings.drainTimeout", "drainTimeout", zero: .means("killed at once")) { $0.drainTimeout = $1 }
        + time("RuntimeSettings.stopDelay", "stopDelay", zero: .means("no delay")) { $0.stopDelay = $1 }
        + time("RuntimeSettings.moveTimeout", "moveTimeout", zero: .means("no connection moves")) { $0.moveTimeout = $1 }
        + time("RuntimeSettings.quickTimeout", "quickTimeout", zero: .means("killed at once")) { $0.quickTimeout = $1 }
        + time("CrashPolicy.init.timeout", "crashes.timeout") { $0.crashes = CrashPolicy(timeout: $1) }
        + time("ReloadPolicy.init.probation", "reload.probation", zero: .means("no probation")) {
            $0.reload = ReloadPolicy(probation: $1)
        }
        + time("RuntimeSettings.heartbeat", "heartbeat") { $0.heartbeat = $1 }
        + time("RuntimeSettings.heartbeatGrace", "heartbeatGrace") { $0.heartbeatGrace = $1 }
        + time("RuntimeSettings.slowRequest", "slowRequest") { $0.slowRequest = $1 }
        + time("QuarantinePolicy.init.per", "quarantine") { $0.quarantine = QuarantinePolicy(crashes: 1, per: $1) }
        + time("QuarantinePolicy.period", "quarantine") {
            $0.quarantine = QuarantinePolicy(crashes: 1, per: .seconds(1))
            $0.quarantine?.period = $1
        }
        + time("RestartPolicy.Window.init.per", "restarts.window") { $0.restarts.window = .init(count: 1, per: $1) }
        + time("RestartPolicy.Window.period", "restarts.window") {
            $0.restarts.window = .init(count: 1, per: .seconds(1))
            $0.restarts.window?.period = $1
        }
        + Parameter.duration(
            "HangPolicy.init.soft", zero: .means("60 ms"), negative: .means("60 ms"), huge: .means("for ever")
        ) { soft in #expect(HangPolicy(soft: soft).soft == max(soft, .milliseconds(60))) }
        + Parameter.duration(
            "HangPolicy.init.grace", zero: .means("1 ms"), negative: .means("1 ms"), huge: .means("for ever")
        ) { grace in #expect(HangPolicy(grace: grace).grace == max(grace, .milliseconds(1))) }

    private static let lives: [ParameterRow] =
        count("RecyclingPolicy.init.requests", "recycling.requests", huge: .means("never")) {
            $0.recycling = RecyclingPolicy(requests: $1)
        }
        + count("RecyclingPolicy.init.memory", "recycling.memory", huge: .means("never")) {
            $0.recycling = RecyclingPolicy(memory: $1)
        }
        + time("RecyclingPolicy.init.lifetime", "recycling.lifetime") { $0.recycling = RecyclingPolicy(lifetime: $1) }
        + count("RecyclingPolicy.init.atOnce", "recycling.atOnce") {
            $0.recycling = RecyclingPolicy(requests: 1, atOnce: $1)
        }
        + Parameter.value("RecyclingPolicy.init.requests", "nil", .means("off")) {
            try use { $0.recycling = RecyclingPolicy() }
        }
        + Parameter.fraction(
            "RecyclingPolicy.init.jitter", zero: .means("none"), negative: .refused("recycling.jitter"),
            huge: .refused("recycling.jitter"), notANumber: .refused("recycling.jitter", "nan")
        ) { jitter in try use { $0.recycling = RecyclingPolicy(requests: 100, jitter: jitter) } }

    private static let scaling: [ParameterRow] =
        count("ScalingPolicy.minimum", "scaling.minimum") {
            $0.scaling.minimum = $1
            $0.scaling.maximum = 10
        }
        + count("ScalingPolicy.maximum", "scaling.maximum") {
            $0.scaling.minimum = 1
            $0.scaling.maximum = $1
        }
        + count("ScalingPolicy.init.workers", "scaling.") { $0.scaling = ScalingPolicy(workers: $1...$1) }
        + Parameter.value("ScalingPolicy.maximum", "below the minimum", .refused("MIN_WORKERS", "3")) {
            try use {
                $0.scaling.minimum = 3
                $0.scaling.maximum = 2
            }
        }
        + Parameter.value("ScalingPolicy.minimum", "alone", .refused("MIN_WORKERS", "3")) {
            try use { $0.scaling.minimum = 3 }
        }
        + Parameter.value("ScalingPolicy.init.workers", "nil", .means("off")) {
            try use { $0.scaling = ScalingPolicy() }
        }
        + Parameter.fraction(
            "ScalingPolicy.init.busy", zero: .means("always busy"), negative: .refused("scaling.busy"),
            huge: .refused("scaling.busy"), notANumber: .refused("scaling.busy", "nan")
        ) { busy in try use { $0.scaling = ScalingPolicy(workers: 1...4, busy: busy) } }
        + Parameter.fraction(
            "ScalingPolicy.init.backlog", zero: .refused("scaling.backlog"), negative: .refused("scaling.backlog"),
            huge: .refused("scaling.backlog"), notANumber: .refused("scaling.backlog", "nan")
        ) { backlog in try use { $0.scaling = ScalingPolicy(workers: 1...4, backlog: backlog) } }
        + time("ScalingPolicy.init.growAfter", "scaling.growAfter") {
            $0.scaling = ScalingPolicy(workers: 1...4, growAfter: $1)
        }
        + time("ScalingPolicy.init.shrinkAfter", "scaling.shrinkAfter") {
            $0.scaling = ScalingPolicy(workers: 1...4, shrinkAfter: $1)
        }

    private static let backoffs: [ParameterRow] =
        count(
            "Backoff.init.immediate", "backoff.immediate", zero: .means("the first one waits"),
            huge: .means("none waits")
        ) {
            $0.restarts.backoff = Backoff(immediate: $1)
        }
        + time("Backoff.init.immediatePeriod", "backoff.immediatePeriod") {
            $0.restarts.backoff = Backoff(immediatePeriod: $1)
        }
        + time("Backoff.init.base", "backoff.base") { $0.restarts.backoff = Backoff(immediate: 0, base: $1) }
        + time("Backoff.init.maximum", "backoff.maximum", zero: .means("no delays")) {
            $0.restarts.backoff = Backoff(immediate: 0, maximum: $1)
        }
        + time("Backoff.init.resetAfter", "backoff.resetAfter") { $0.restarts.backoff = Backoff(resetAfter: $1) }

    // Of the host

    private static let paths: [(String, String, @Sendable (inout RuntimeSettings, String) -> Void)] = [
        ("RuntimeSettings.controlSocket", "controlSocket", { $0.controlSocket = $1 }),
        ("RuntimeSettings.pidFile", "pidFile", { $0.pidFile = $1 }),
        ("RuntimeSettings.logFile", "logFile", { $0.logFile = $1 }),
        ("RuntimeSettings.accessLog", "accessLog", { $0.accessLog = $1 }),
        ("Privileges.rootDirectory", "privileges.rootDirectory", { $0.privileges.rootDirectory = $1 }),
    ]

    private static let accounts: [(String, String, @Sendable (inout RuntimeSettings, String) -> Void)] = [
        ("Privileges.user", "privileges.user", { $0.privileges.user = $1 }),
        ("Privileges.group", "privileges.group", { $0.privileges.group = $1 }),
        ("RuntimeSettings.service", "service", { $0.service = $1 }),
    ]

    private static let hostTexts: [ParameterRow] =
        paths.flatMap { parameter, named, set in
            Parameter.text(
                parameter, empty: .refused(named, "absolute path"), huge: .refused(named, "absolute path"),
                other: .refused(named, "absolute path")
            ) { text in try use { set(&$0, text) } }
                + Parameter.value(parameter, "/ and NUL", .refused(named, "/a\\u{0}b")) {
                    try use { set(&$0, "/a\0b") }
                }
        }
        + accounts.flatMap { parameter, named, set in
            Parameter.text(
                parameter, empty: .refused(named, "text"), huge: .means("a name, looked up at the start"),
                nul: .refused(named, "text"),
                controls: .means("a name, looked up at the start"), dots: .means("a name, looked up at the start"),
                foreign: .means("a name, looked up at the start")
            ) { text in try use { set(&$0, text) } }
        }
        + Parameter.list(
            "Privileges.Groups.list.0", of: "no-such-group", count: 1000, empty: .refused("privileges.groups"),
            huge: .means("names, looked up at the start")
        ) { (groups: [String]) in try use { $0.privileges.groups = .list(groups) } }

    private static let lookups: [(String, String, @Sendable (inout Privileges, String) -> Void)] = [
        ("Privileges.user", "no user", { $0.user = $1 }), ("Privileges.group", "no group", { $0.group = $1 }),
        ("Privileges.Groups.list.0", "no group", { $0.groups = .list([$1]) }),
    ]

    private static let endpoints: [ParameterRow] =
        Parameter.value("RuntimeSettings.metrics", "nil", .means("nowhere")) { try use { $0.metrics = nil } }
        + Parameter.text(
            "RuntimeSettings.metrics", empty: .refused("metrics", "absolute path"),
            huge: .refused("metrics", "absolute path"), other: .refused("metrics", "absolute path")
        ) { path in try use { $0.metrics = .unix(path) } }
        + Parameter.unsigned("RuntimeSettings.metrics", zero: .means("a free port"), huge: .means("the last port")) {
            (port: UInt16) in try use { $0.metrics = .tcp("127.0.0.1", port) }
        }

    /// Names are looked up when a pool is made, before anything is forked.
    private static let rights: [ParameterRow] =
        lookups.flatMap { parameter, words, set in
            Parameter.text(
                parameter, empty: .refused(words, "''"), huge: .refused(words, "'xxx"),
                nul: .refused(words, "'a\\u{0}b'"),
                controls: .refused(words, "'a\\u{1B}[2J\\u{A}b'"), dots: .refused(words, "'../x'"),
                foreign: .refused(words, "größe")
            ) { name in
                var privileges = Privileges()
                set(&privileges, name)
                _ = try privileges.resolve(by: .system, presentGroup: 0)
            }
                + Parameter.value(parameter, "4294967295", .refused(words, "4294967295")) {
                    var privileges = Privileges()
                    set(&privileges, "4294967295")
                    _ = try privileges.resolve(by: .system, presentGroup: 0)
                }
                // A C string ends at its first NUL: this is not root.
                + Parameter.value(parameter, "root NUL", .refused(words, "'root\\u{0}'")) {
                    var privileges = Privileges()
                    set(&privileges, "root\0")
                    _ = try privileges.resolve(by: .system, presentGroup: 0)
                }
        }
        + Parameter.unsigned(
            "Privileges.fileMask", zero: .means("no bit is taken"), huge: .refused("fileMask", "37777777777")
        ) {
            (mask: UInt32) in try use { $0.privileges.fileMask = mask }
        }
        + time("RuntimeSettings.loopStall", "loopStall") { $0.loopStall = $1 }
        + count("RuntimeSettings.workerMemory", "workerMemory", huge: .means("no limit")) { $0.workerMemory = $1 }
        + Parameter.value("RuntimeSettings.outOfMemoryScore", "0", .means("as most processes have it")) {
            try use { $0.outOfMemoryScore = 0 }
        }
        + ([-1001, Int.min, 1001, Int.max] as [Int]).flatMap { score in
            Parameter.value("RuntimeSettings.outOfMemoryScore", "\(score)", .refused("outOfMemoryScore", "\(score)")) {
                try use { $0.outOfMemoryScore = score }
            }
        }

    // Functions

    private static let functions: [ParameterRow] =
        Parameter.number(
            "forkProcesses.count", zero: .refused("threads"), negative: .refused("threads"),
            huge: .refused("number of workers: \(Int.max)")
        ) { (count: Int) in
            // One per core, but a test runner has threads and cannot fork.
            _ = try forkProcesses(count)
        }
        + Parameter.value("forkProcesses.count", "nil", .refused("threads")) { _ = try forkProcesses(nil) }
        + Parameter.number(
            "forkProcesses.maxRestarts", zero: .refused("threads"), negative: .refused("restarts.limit=-"),
            huge: .refused("threads")
        ) { (restarts: Int) in _ = try forkProcesses(2, maxRestarts: restarts) }
        + Parameter.value("forkProcesses.maxRestarts", "nil", .refused("threads")) {
            _ = try forkProcesses(2, maxRestarts: nil)
        }

    // An operator's commands, as a pool is told them

    private static func answer(_ command: ControlCommand) throws {
        var pool = Pool(workers: 2, settings: Pool.Settings(), now: .now, seed: 1)
        if case .failed(let reason) = pool.perform(command, at: .now).0 { throw ControlRequestError(reason) }
    }

    private static let slotCommands: [(String, @Sendable (Int) -> ControlCommand)] = [
        ("restart", { ControlCommand.restart(slot: $0) }), ("kill", { .kill(slot: $0) }),
        ("drain", { .drain(slot: $0) }),
    ]

    /// Not public: the numbers come from the control socket.
    private static let commands: [ParameterRow] =
        Parameter.number(
            "ScaleChange.to.0", zero: .refused("0 is not within 1...10000"), negative: .refused("is not within"),
            huge: .refused("\(Int.max) is not within")
        ) { (count: Int) in try answer(.scale(.to(count))) }
        + Parameter.number(
            "ScaleChange.by.0", zero: .means("as it is"), negative: .means("one less"), huge: .refused("is not within")
        ) { (change: Int) in
            do { try answer(.scale(.by(change))) } catch  where change == .min {}
        }
        + slotCommands.flatMap { name, make in
            Parameter.number(
                "ControlCommand.\(name).slot", zero: .refused("worker 0 is not running"),
                negative: .refused("no worker -"),
                huge: .refused("no worker \(Int.max)")
            ) { (slot: Int) in try answer(make(slot)) }
        }
        + Parameter.duration(
            "DurationHistogram.add.duration", zero: .means("no time"), negative: .means("no time"),
            huge: .means("longer than all bounds")
        ) { duration in
            var histogram = DurationHistogram()
            for _ in 0..<10 { histogram.add(duration) }
            #expect(histogram.counts.last == (duration > .zero ? 10 : 0) && histogram.sum >= .zero)
        }
}
