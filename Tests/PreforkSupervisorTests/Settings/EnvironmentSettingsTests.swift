// PREFORK_*: every option, what it takes, and what it says about what it does not.

import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkSupervisor

@Suite struct EnvironmentSettingsTests {
    private func settings(_ environment: [String: String]) throws(EnvironmentSettingsError) -> RuntimeSettings {
        try RuntimeSettings().applying(environment)
    }

    private func problem(_ environment: [String: String]) -> [EnvironmentSettingsError.Problem] {
        do {
            _ = try settings(environment)
            return []
        } catch { return error.problems }
    }

    @Test func theManualHasTheTable() throws {
        let page = read("\(packageRoot)/Sources/Prefork/Documentation.docc/AllSettings.md")
        #expect(page.contains("\n" + EnvironmentSettings.markdown))
    }

    @Test func anEmptyEnvironmentChangesNothing() throws {
        #expect(try settings([:]) == RuntimeSettings())
        var own = RuntimeSettings()
        own.workers = .count(7)
        #expect(try own.applying(["PREFORK_WORKERS": "", "PATH": "/bin"]) == own)
    }

    /// Nothing, zero, negative, huge, text: each value of each variable is taken or refused by its name, and what is
    /// taken can be planned with.
    @Test(arguments: EnvironmentSettings.options.map(\.name))
    func noValueOfAVariableIsSilentlyMisread(name: String) throws {
        let values = [
            "", " ", "0", "-0", "-1", "-9223372036854775809", "9223372036854775807", "18446744073709551616", "1e400",
            "nan", "0x10", "1.5", "%", "-5%", "1000%", "s", "-1s", "99999999999h", "0/0", "-1/1s", "1/-1s",
            "99999999999/1s", "\u{1B}[2J", "a\nb", "a\u{0}b", ",", ",,", "1-", "-", "5-2", "0-99999999999", "/", "//",
            "relative/path", String(repeating: "x", count: 100_000), "größe", "yes please", "70000:70000", ":", ":0",
            "127.0.0.1:65536", "[::1", "unix:", "unix:/" + String(repeating: "x", count: 200),
        ]
        for value in values {
            do {
                let found = try settings([name: value])
                // Every duration and count is one that a deadline can be made of.
                let configuration = try SupervisorConfiguration(found)
                var pool = Pool(workers: 2, settings: configuration.poolSettings, now: .now, seed: 1)
                for action in pool.handle(.tick, at: .now) {
                    guard case .fork(let slot, let spawn) = action else { continue }
                    _ = pool.handle(.forked(slot: slot, pid: 1, spawn: spawn), at: .now)
                    _ = pool.handle(.ready(slot: slot, spawn: spawn), at: .now)
                }
                _ = (pool.nextDeadline, pool.nextSample)
                _ = pool.handle(.stop(.graceful), at: .now)
            } catch let error as EnvironmentSettingsError {
                #expect(error.problems.map(\.name).contains { $0 == name || $0.hasSuffix("_WORKERS") })
                #expect("\(error)".contains(name) || name.hasSuffix("_WORKERS"))
                #expect(!"\(error)".unicodeScalars.contains { $0 == "\u{1B}" || $0 == "\0" })
            }
        }
    }

    @Test func ownersThatAProgramSetsHaveTheBoundsOfTheVariables() throws {
        for owner in [SocketOwner(user: ""), SocketOwner(group: ""), SocketOwner(user: "a\0b")] {
            var (control, metrics) = (RuntimeSettings(), RuntimeSettings())
            control.controlOwner = owner
            metrics.metricsOwner = owner
            let first = #expect(throws: EnvironmentSettingsError.self) { try control.applying([:]) }
            #expect("\(first!)".contains("controlOwner"))
            let second = #expect(throws: EnvironmentSettingsError.self) { try metrics.applying([:]) }
            #expect("\(second!)".contains("metricsOwner"))
        }
        var settings = RuntimeSettings()
        settings.controlOwner = .unchanged
        #expect(throws: Never.self) { try settings.applying([:]) }
    }

    @Test func eachVariableChangesItsSetting() throws {
        let found = try settings([
            "PREFORK_WORKERS": "4", "PREFORK_MIN_WORKERS": "2", "PREFORK_MAX_WORKERS": "8",
            "PREFORK_SCALE_BUSY": "60%", "PREFORK_SCALE_BACKLOG": "1.5", "PREFORK_GROW_AFTER": "2s",
            "PREFORK_SHRINK_AFTER": "1m",
            "PREFORK_BOOT_TIMEOUT": "5m",
            "PREFORK_STOP_DELAY": "1500ms", "PREFORK_DRAIN_TIMEOUT": "0", "PREFORK_QUICK_TIMEOUT": "250ms",
            "PREFORK_RELOAD": "+3",
            "PREFORK_PROBATION": "7s", "PREFORK_MAX_GENERATIONS": "5", "PREFORK_MAX_RESTARTS": "0", "PREFORK_RESTART_WINDOW": "5/10s",
            "PREFORK_MAX_BOOT_FAILURES": "1", "PREFORK_CRASH_TIMEOUT": "4s", "PREFORK_CRASH_AT_ONCE": "0",
            "PREFORK_RECYCLE_REQUESTS": "10000", "PREFORK_RECYCLE_LIFETIME": "1.5h",
            "PREFORK_RECYCLE_MEMORY": "300M", "PREFORK_RECYCLE_JITTER": "25%", "PREFORK_RECYCLE_AT_ONCE": "2",
            "PREFORK_HEARTBEAT": "30", "PREFORK_HEARTBEAT_GRACE": "5s",
            "PREFORK_SLOW_REQUEST": "2s", "PREFORK_QUARANTINE": "3/60s", "PREFORK_CONTROL": "/run/app/control",
            "PREFORK_METRICS": ":9100", "PREFORK_PID_FILE": "/run/app.pid", "PREFORK_LOG_FILE": "/var/log/app.log",
            "PREFORK_LOG_FORMAT": "json", "PREFORK_CAPTURE_OUTPUT": "on",
            "PREFORK_ACCESS_LOG": "/var/log/shop/access.log", "PREFORK_ACCESS_LOG_FORMAT": "json",
            "PREFORK_USER": "www-data", "PREFORK_GROUP": "1000", "PREFORK_GROUPS": "logs,70", "PREFORK_UMASK": "027",
            "PREFORK_CHROOT": "/srv/app", "PREFORK_NO_NEW_PRIVILEGES": "yes", "PREFORK_DUMPABLE": "off",
            "PREFORK_SANDBOX": "local,read=/srv,connect=443,strict",
            "PREFORK_AFFINITY": "0-2,8", "PREFORK_TITLES": "0", "PREFORK_SERVICE": "shop",
            "PREFORK_OOM_SCORE": "-17",
            "PREFORK_WORKER_MEMORY": "512M",
            "PREFORK_MOVE_CONNECTIONS": "off", "PREFORK_MOVE_TIMEOUT": "2s", "PREFORK_REBALANCE": "on",
            "PREFORK_LOOP_STALL": "250ms", "PREFORK_SPARES": "3",
            "PREFORK_WATCHDOG_MINIMUM": "3",
            "PREFORK_KEEP_SERVICE_VARIABLES": "on", "PREFORK_ADOPT_ORPHANS": "TRUE",
            "PREFORK_CONTROL_OWNER": "app:operators", "PREFORK_METRICS_OWNER": ":www-data",
        ])
        #expect(found.workers == .count(4) && found.scaling.workers == 2...8)
        #expect(found.scaling.busy == 0.6 && found.scaling.backlog == 1.5)
        #expect(found.scaling.growAfter == .seconds(2) && found.scaling.shrinkAfter == .seconds(60))
        #expect(
            found.bootTimeout == .seconds(300) && found.drainTimeout == .zero
                && found.quickTimeout == .milliseconds(250) && found.stopDelay == .milliseconds(1500))
        #expect(found.reload == ReloadPolicy(width: .surge(3), generations: 5, probation: .seconds(7)))
        #expect(found.restarts.limit == 0 && found.restarts.bootLimit == 1)
        #expect(found.restarts.window == RestartPolicy.Window(count: 5, per: .seconds(10)))
        #expect(found.crashes == CrashPolicy(timeout: .seconds(4), backtracersAtOnce: 0))
        #expect(found.recycling.requests == 10_000 && found.recycling.lifetime == .seconds(5_400))
        #expect(found.recycling.memory == 300 << 20 && found.recycling.jitter == 0.25 && found.recycling.atOnce == 2)
        #expect(found.heartbeat == .seconds(30) && found.heartbeatGrace == .seconds(5))
        #expect(found.slowRequest == .seconds(2) && found.quarantine == QuarantinePolicy(crashes: 3, per: .seconds(60)))
        #expect(found.controlSocket == "/run/app/control" && found.metrics == .tcp("127.0.0.1", 9_100))
        #expect(found.controlOwner == SocketOwner(user: "app", group: "operators"))
        #expect(found.metricsOwner == SocketOwner(group: "www-data"))
        #expect(found.pidFile == "/run/app.pid" && found.logFile == "/var/log/app.log")
        #expect(found.logFormat == .json && found.captureOutput == .on)
        #expect(found.accessLog == "/var/log/shop/access.log" && found.accessLogFormat == .json)
        #expect(found.privileges.user == "www-data" && found.privileges.group == "1000")
        #expect(found.privileges.groups == .list(["logs", "70"]) && found.privileges.fileMask == 0o027)
        #expect(found.privileges.rootDirectory == "/srv/app" && found.privileges.noNewPrivileges)
        #expect(found.sandbox?.files == [.read("/srv")] && found.sandbox?.connectPorts == [443])
        #expect(found.sandbox?.systemCalls == .local && found.sandbox?.isStrict == true)
        #expect(found.privileges.isDumpable == false && found.affinity == .processors([0, 1, 2, 8]))
        #expect(found.outOfMemoryScore == -17)
        #expect(found.workerMemory == 512 << 20)
        #expect(!found.movesConnections && found.moveTimeout == .seconds(2) && found.rebalances)
        #expect(found.loopStall == .milliseconds(250) && found.spares == 3)
        #expect(!found.setsTitles && found.service == "shop" && found.watchdogMinimum == 3)
        #expect(found.keepsServiceVariables && found.adoptsOrphans)
        let untouched = EnvironmentSettings.options.filter { $0.show(found) == $0.standard }
        #expect(untouched.isEmpty, "every option is in this test: \(untouched.map(\.name))")
    }

    @Test(arguments: [
        ("WORKERS", "0"), ("WORKERS", "two"), ("WORKERS", "10001"), ("WORKERS", " 3"), ("BOOT_TIMEOUT", "0"),
        ("BOOT_TIMEOUT", "-1s"), ("DRAIN_TIMEOUT", "nan"), ("DRAIN_TIMEOUT", "inf"), ("DRAIN_TIMEOUT", "1e3"),
        ("DRAIN_TIMEOUT", "s"), ("DRAIN_TIMEOUT", "1d"), ("DRAIN_TIMEOUT", "99999999999999999999h"), ("RELOAD", "3"),
        ("RELOAD", "+0"), ("RELOAD", "++1"), ("MAX_RESTARTS", "-1"), ("RESTART_WINDOW", "5"),
        ("RESTART_WINDOW", "0/10s"),
        ("RESTART_WINDOW", "5/"), ("RECYCLE_REQUESTS", "0"), ("RECYCLE_MEMORY", "1X"), ("RECYCLE_MEMORY", "M"),
        ("RECYCLE_MEMORY", "99999999999G"), ("RECYCLE_JITTER", "101%"), ("RECYCLE_JITTER", "10"), ("HEARTBEAT", "1ms"),
        ("CONTROL", "run/app"), ("METRICS", "9100"), ("METRICS", "a:b:1"), ("METRICS", "host:65536"), ("METRICS", ":"),
        ("CONTROL_OWNER", ":"), ("CONTROL_OWNER", "app:"), ("METRICS_OWNER", ":"),
        ("GROUPS", "a,,b"), ("UMASK", "8"), ("UMASK", "1000"), ("UMASK", "-1"), ("CHROOT", "srv"),
        ("DUMPABLE", "maybe"),
        ("SANDBOX", "strict"), ("SANDBOX", "network-server,read=x"),
        ("OOM_SCORE", "1001"), ("OOM_SCORE", "-1001"), ("OOM_SCORE", "--1"), ("OOM_SCORE", "+1"),
        ("OOM_SCORE", "-"),
        ("LOOP_STALL", "19ms"), ("LOOP_STALL", "-1"),
        ("AFFINITY", "3-1"), ("AFFINITY", ""), ("AFFINITY", "1,,2"), ("AFFINITY", "-1"), ("AFFINITY", "0-99999999"),
        ("TITLES", "2"), ("WATCHDOG_MINIMUM", "-1"), ("LOG_FORMAT", "xml"), ("ACCESS_LOG_FORMAT", "common"), ("ACCESS_LOG", "relative"), ("CAPTURE_OUTPUT", "yes"),
    ])
    func aBadValueIsNamedWithItsVariableAndWhatItTakes(name: String, value: String) {
        let found = problem(["PREFORK_\(name)": value])
        // An empty variable is an unset one.
        guard !value.isEmpty else { return #expect(found.isEmpty) }
        #expect(found.count == 1)
        #expect(found.first?.name == "PREFORK_\(name)" && found.first?.value == value)
        #expect(found.first?.expected.isEmpty == false)
    }

    @Test func allBadVariablesAreToldAtOnce() {
        let found = problem(["PREFORK_WORKERS": "x", "PREFORK_UMASK": "9", "PREFORK_USER": "www"])
        #expect(
            EnvironmentSettingsError(problems: found).description == """
                PREFORK_WORKERS=x: must be auto, or 1 to 10000
                PREFORK_UMASK=9: must be octal digits, as 027, or off
                """)
    }

    @Test func valuesThatContradictEachOtherAreErrors() {
        #expect(
            problem(["PREFORK_MIN_WORKERS": "3", "PREFORK_MAX_WORKERS": "2"]).first?.expected
                == "at most PREFORK_MAX_WORKERS, 2")
        #expect(problem(["PREFORK_MIN_WORKERS": "3"]).count == 1)
        #expect(problem(["PREFORK_MAX_WORKERS": "3"]).count == 1)
    }

    @Test func offTakesAwayWhatTheProgramHasSet() throws {
        var own = RuntimeSettings()
        own.heartbeat = .seconds(5)
        own.metrics = .tcp("::1", 1)
        own.privileges.isDumpable = true
        let found = try own.applying([
            "PREFORK_HEARTBEAT": "off", "PREFORK_METRICS": "off", "PREFORK_DUMPABLE": "kernel",
        ])
        #expect(found == RuntimeSettings())
    }

    @Test func endpointsAreReadAsPeopleWriteThem() throws {
        #expect(try settings(["PREFORK_METRICS": "[::1]:80"]).metrics == .tcp("::1", 80))
        #expect(try settings(["PREFORK_METRICS": "0.0.0.0:80"]).metrics == .tcp("0.0.0.0", 80))
        #expect(try settings(["PREFORK_METRICS": "/run/m"]).metrics == .unix("/run/m"))
    }

    @Test func thePoolGetsWhatWasSet() throws {
        let found = try settings([
            "PREFORK_WORKERS": "9", "PREFORK_MIN_WORKERS": "2", "PREFORK_MAX_WORKERS": "4", "PREFORK_HEARTBEAT": "10s",
            "PREFORK_HEARTBEAT_GRACE": "3s", "PREFORK_RECYCLE_REQUESTS": "5", "PREFORK_RELOAD": "-2",
            "PREFORK_BOOT_TIMEOUT": "7s", "PREFORK_DRAIN_TIMEOUT": "8s", "PREFORK_QUICK_TIMEOUT": "9s",
            "PREFORK_MAX_RESTARTS": "11", "PREFORK_STOP_DELAY": "6s",
        ])
        #expect(try SupervisorConfiguration(found).workers == 4, "within the range that it scales in")
        let configuration = try SupervisorConfiguration(found).poolSettings
        #expect(configuration.scaling == ScalingPolicy(workers: 2...4))
        #expect(configuration.hangs == HangPolicy(soft: .seconds(10), grace: .seconds(3)))
        #expect(configuration.recycling.requests == 5 && configuration.reload.width == .unavailable(2))
        #expect(configuration.bootTimeout == .seconds(7) && configuration.drainTimeout == .seconds(8))
        #expect(configuration.quickTimeout == .seconds(9) && configuration.restarts.limit == 11)
        #expect(configuration.stopDelay == .seconds(6))
        let plain = try SupervisorConfiguration(RuntimeSettings()).poolSettings
        #expect(plain.hangs == nil && plain.scaling.workers == nil)
    }

    @Test func misspeltVariablesAreFound() {
        let environment = ["PREFORK_WORKER": "3", "PREFORK_WORKERS": "3", "PATH": "", "PREFORK_": ""]
        #expect(EnvironmentSettings.unknownNames(in: environment) == ["PREFORK_", "PREFORK_WORKER"])
    }

    /// One edit or two from exactly one variable: less is the variable, more is another word.
    @Test(arguments: [
        ("WORKER", "WORKERS"), ("WORKRES", "WORKERS"), ("DRAIN_TIMEOUTS", "DRAIN_TIMEOUT"), ("USR", "USER"),
        ("TITELS", "TITLES"), ("LOGFILE", "LOG_FILE"), ("GROUPP", nil), ("", nil), ("PORT", nil), ("WORK", nil),
        ("WORKERS", nil), ("größe", nil), (String(repeating: "x", count: 100_000), nil),
    ] as [(String, String?)])
    func aMisspeltVariableIsToldTheOneItResembles(name: String, meant: String?) {
        #expect(EnvironmentSettings.nameMeant(by: "PREFORK_\(name)") == meant.map { "PREFORK_\($0)" })
    }

    @Test func namesAreThereOnceAndEveryOptionSaysWhatItIs() {
        let options = EnvironmentSettings.options
        #expect(Set(options.map(\.name)).count == options.count)
        for option in options {
            #expect(option.name.hasPrefix("PREFORK_") && option.meaning.hasSuffix(".") && !option.shape.isEmpty)
            #expect(!option.meaning.contains("|") && !option.shape.contains("|"), "it would break the table")
        }
    }

    /// What is shown is what is read: defaults, and a printed configuration given back as an environment.
    @Test func whatIsPrintedCanBeReadAgain() throws {
        var own = RuntimeSettings()
        own.workers = .count(3)
        own.scaling = ScalingPolicy(workers: 2...4, backlog: 2.5)
        own.drainTimeout = .milliseconds(90_500)
        own.recycling.memory = 3 << 29
        own.recycling.lifetime = .seconds(3_600)
        own.restarts.window = .init(count: 3, per: .seconds(120))
        own.reload.width = .unavailable(2)
        own.metrics = .tcp("::1", 9_100)
        own.affinity = .processors([1, 3])
        own.privileges.groups = .list(["a", "b"])
        own.privileges.fileMask = 0o7
        own.service = "it's a shop"
        for settings in [RuntimeSettings(), own] {
            var environment: [String: String] = [:]
            for option in EnvironmentSettings.options { environment[option.name] = option.show(settings) }
            #expect(try self.settings(environment) == settings)
        }
    }

    @Test func thePrintedConfigurationNamesEachValueMeaningAndDefault() {
        var own = RuntimeSettings()
        own.workers = .count(3)
        own.service = "it's"
        let text = EnvironmentSettings.text(of: own, environment: [:])
        #expect(
            text.hasPrefix(
                "# Number of workers. auto: one per core, by affinity and CPU quota. "
                    + "(auto, or 1 to 10000) Default: auto.\n"
                    + "PREFORK_WORKERS=3\n\n"
            ))
        #expect(text.contains("\nPREFORK_SERVICE=\"it's\"\n"))
        #expect(text.contains("\n#PREFORK_DRAIN_TIMEOUT=30s\n"))
        let table = EnvironmentSettings.markdown.split(separator: "\n")
        #expect(table.count == EnvironmentSettings.options.count + 2)
        #expect(
            table.contains(
                "| `PREFORK_UMASK` | `settings.privileges.fileMask` "
                    + "| The workers' umask: permissions that new files do not get. "
                    + "| octal digits, as 027, or off | `off` |"))
    }

    @Test(arguments: EnvironmentSettings.options.map(\.name)) func thePropertyOfAVariableIsThere(name: String) throws {
        let option = try #require(EnvironmentSettings.options.first { $0.name == name })
        let parts = option.property.split(separator: ".")
        #expect(parts.first == "settings" && parts.count > 1)
        var value: Any = RuntimeSettings()
        for part in parts.dropFirst() {
            let found = Mirror(reflecting: value).children.first { $0.label == String(part) }
            value = try #require(found, "\(option.property): no \(part)").value
        }
    }
}
