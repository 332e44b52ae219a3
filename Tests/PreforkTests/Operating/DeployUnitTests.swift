// The unit files of Sources/Examples/deployment, as far as they can be read. `Scripts/test --machine` runs them.

import Prefork
import PreforkTestSupport
import Testing

@Suite struct DeployUnitTests {
    /// Assignments by name, in their order.
    private func assignments(_ name: String) throws -> [String: [String]] {
        let text = read("\(packageRoot)/Sources/Examples/deployment/systemd/\(name)")
        try #require(!text.isEmpty)
        var found: [String: [String]] = [:]
        for line in text.split(separator: "\n") where !line.hasPrefix("#") && !line.hasPrefix("[") {
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            try #require(parts.count == 2, "\(line)")
            found[String(parts[0]), default: []].append(String(parts[1]))
        }
        return found
    }

    @Test func `A worker killed for memory does not end the service`() throws {
        #expect(try assignments("app.service")["OOMPolicy"] == ["continue"])
    }

    @Test func `A reload waits and can fail`() throws {
        #expect(try assignments("app.service")["ExecReload"] == ["/usr/local/bin/preforkctl reload --wait"])
    }

    /// See findings/systemd-socket-of-a-failing-service.sh.
    @Test func `A start that fails at once does not close the socket`() throws {
        let unit = try assignments("app.service")
        #expect(unit["StartLimitIntervalSec"] == ["0"])
        #expect(unit["RestartPreventExitStatus"] == nil, "a waiting client would start the service again at once")
        #expect(unit["Restart"] == ["on-failure"] && unit["RestartSec"] == ["2s"])
    }

    @Test(arguments: [
        "ProtectClock", "ProtectHostname", "ProtectKernelLogs", "RestrictRealtime", "RestrictSUIDSGID",
        "MemoryDenyWriteExecute", "PrivateUsers",
    ])
    func `The sandbox has what works with everything`(name: String) throws {
        #expect(try assignments("app.service")[name] == ["yes"])
    }

    @Test func `And files, processes and calls are limited`() throws {
        let unit = try assignments("app.service")
        #expect(unit["UMask"] == ["0077"] && unit["ProtectProc"] == ["invisible"])
        #expect(unit["SystemCallFilter"] == ["@system-service", "~@privileged"])
    }

    @Test func `The settings of the unit are settings, and systemd waits longer than the drain`() throws {
        let unit = try assignments("app.service")
        var environment: [String: String] = [:]
        for text in unit["Environment"] ?? [] {
            let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
            environment[parts[0]] = parts[1]
        }
        #expect(EnvironmentSettings.unknownNames(in: environment).isEmpty)
        let settings = try RuntimeSettings().applying(environment)
        let stop = try #require(unit["TimeoutStopSec"]?.first?.dropLast()).description
        #expect(settings.drainTimeout < .seconds(try #require(Int(stop))))
        #expect(settings.controlSocket == "/run/app/control", "where ExecReload= finds the supervisor")
    }
}
