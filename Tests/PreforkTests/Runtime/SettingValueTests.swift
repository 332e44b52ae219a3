// Every documented value of every setting, in a program that runs.

import Glibc
import Prefork
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(5))) struct SettingValueTests {
    private static let durations = ["30", "500ms", "30s", "5m", "2h"]
    private static let flags = ["on", "off"]

    /// What the shapes of the manual's table stand for. A shape that is missing here fails the test.
    private static let values: [String: [String]] = [
        "auto, or 1 to 10000": ["auto", "1", "2"],
        "auto, or 0 to 100": ["auto", "0", "1"],
        "1 to 10000": ["1", "10000"],
        "0 to 10000": ["0", "10000"],
        "1 to 100": ["1", "100"],
        "a number from 0": ["0", "12"],
        "a number from 0, or auto": ["0", "12", "auto"],
        "a number from 1, or off": ["1000000", "off"],
        "0% to 100%": ["0%", "50%", "100%"],
        "a number, 0.5 or 4": ["0.5", "4"],
        "seconds, or 500ms, 30s, 5m, 2h": durations,
        "seconds, or 500ms, 30s, 5m, 2h, at least 1ms": durations + ["1ms"],
        "seconds, or 500ms, 30s, 5m, 2h, at least 1ms, or off": durations + ["1ms", "off"],
        "seconds, or 500ms, 30s, 5m, 2h, at least 60ms, or off": durations + ["60ms", "off"],
        "seconds, or 500ms, 30s, 5m, 2h, at least 20ms, or off": durations + ["20ms", "0", "off"],
        "auto, +N (new ones first) or -N (old ones first)": ["auto", "+1", "-1"],
        "a number and a time, as 5/10s, or off": ["5/10s", "off"],
        "a number of at most 1000 and a time, as 3/60s, or off": ["3/60s", "off"],
        "bytes, or 512K, 300M, 2G, or off": ["1073741824", "512K", "300M", "2G", "off"],
        "an absolute path, or off": ["/PATH", "off"],
        "host:port, :port (this machine only) or an absolute path, or off": ["127.0.0.1:0", ":0", "/PATH", "off"],
        "user, user:group or :group, or off": ["off"],
        "text or json": ["text", "json"],
        "combined or json": ["combined", "json"],
        "errors, on or off": ["errors", "on", "off"],
        "text, or off": ["off"],
        "user (the groups of the user), none, or names and numbers such as www-data,1000": [
            "user", "none", "daemon,1000",
        ],
        "octal digits, as 027, or off": ["027", "off"],
        "on or off": flags,
        "on or off, or kernel": flags + ["kernel"],
        "-1000 to 1000, or off": ["1000", "500", "off"],
        "none, worker, or a list as 0-3,8": ["none", "worker", "0-3,8"],
    ]

    private static let ownValues: [String: [String]] = [
        "PREFORK_SANDBOX": [
            "network-server", "off", "network-server,kill,unscoped", "local,read=/", "all-calls,write=/,connect=none",
            "network-server,no-files,bind=80,connect=443",
        ],
        // Set together, and the first not larger.
        "PREFORK_MIN_WORKERS": ["1", "off"],
        "PREFORK_MAX_WORKERS": ["2", "off"],
        "PREFORK_CHROOT": ["/", "off"],
        "PREFORK_USER": ["nobody", "off"],
        "PREFORK_GROUP": ["nogroup", "off"],
        "PREFORK_SERVICE": ["shop", "off"],
        // The test waits for the end.
        "PREFORK_STOP_DELAY": ["0", "1ms", "0.1"],
        "PREFORK_CONTROL_OWNER": ["nobody", "nobody:daemon", ":daemon", "1000:1000", "off"],
        "PREFORK_METRICS_OWNER": ["nobody", "nobody:daemon", ":daemon", "1000:1000", "off"],
    ]

    /// Values that are taken and that a busy machine cannot keep: half a second to boot, or without a sign of life.
    private static let tooShort: Set<String> = [
        "PREFORK_BOOT_TIMEOUT=500ms", "PREFORK_BOOT_TIMEOUT=1ms", "PREFORK_HEARTBEAT=500ms", "PREFORK_HEARTBEAT=60ms",
        "PREFORK_QUICK_TIMEOUT=0", "PREFORK_RECYCLE_MEMORY=512K", "PREFORK_RECYCLE_LIFETIME=1ms",
        "PREFORK_RECYCLE_LIFETIME=500ms",
        "PREFORK_WORKER_MEMORY=512K",
    ]

    private static func values(of option: EnvironmentOption) -> [String] {
        ownValues[option.name] ?? values[option.shape] ?? []
    }

    private static var rounds: Int { EnvironmentSettings.options.map { values(of: $0).count }.max() ?? 0 }

    @Test func `Every shape of the table has its values here, and each is taken`() throws {
        for option in EnvironmentSettings.options {
            let values = Self.values(of: option)
            #expect(!values.isEmpty, "\(option.name) has the shape '\(option.shape)', which is not in this test")
            for value in values + [option.standard] {
                var environment = [option.name: value]
                if option.name == "PREFORK_MIN_WORKERS" { environment["PREFORK_MAX_WORKERS"] = value }
                if option.name == "PREFORK_MAX_WORKERS" { environment["PREFORK_MIN_WORKERS"] = value }
                #expect(throws: Never.self, "\(option.name)=\(value)") { try RuntimeSettings().applying(environment) }
            }
        }
    }

    /// In each round every variable has another one of its values.
    @Test(arguments: 0..<rounds) func `A program runs and stops with every documented value`(round: Int) async throws {
        var environment: [String: String] = [:]
        var paths: [String] = []
        for option in EnvironmentSettings.options {
            let values = Self.values(of: option)
            guard !values.isEmpty else { continue }
            var value = values[round % values.count]
            if Self.tooShort.contains("\(option.name)=\(value)") { continue }
            // Changes of rights are root's.
            let needsRoot = ["USER", "GROUP", "GROUPS", "CHROOT", "CONTROL_OWNER", "METRICS_OWNER"].contains {
                option.name == "PREFORK_\($0)"
            }
            if needsRoot, geteuid() != 0 { continue }
            if value == "/PATH" {
                value = try temporaryPath()
                paths.append(value)
            }
            environment[option.name] = value
        }
        defer { for path in paths { for end in ["", ".lock"] { unlink(path + end) } } }
        let program = try ChildProgram("benchmark-server", ["--port", "0"], environment: environment)
        try await program.waitForLine("listening on ")
        let printing = try ChildProgram("benchmark-server", ["--print-config"], environment: environment)
        #expect(try await printing.waitForExit() == 0)
        for name in environment.keys { #expect(printing.output.contains("\n\(name)="), "\(name)") }
        program.send(.terminate)
        #expect(try await program.waitForExit(within: .seconds(60)) == 0, "\(environment)\n\(program.errors)")
    }
}
