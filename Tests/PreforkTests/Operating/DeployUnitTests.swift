// The files of Sources/Examples/deployment, as far as they can be read. `Scripts/test --machine` runs them.

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

    /// The variables that a Dockerfile sets (`PREFORK_X=value`) or a manifest (`{name: PREFORK_X, value: value}`).
    private func settings(of name: String) throws -> [String: String] {
        let text = read("\(packageRoot)/Sources/Examples/deployment/\(name)")
        try #require(!text.isEmpty)
        return Dictionary(
            uniqueKeysWithValues: text.matches(of: #/(PREFORK_[A-Z_]+)(?:=|, value: "?)([^\s"}]+)/#)
                .map { (String($0.1), String($0.2)) })
    }

    @Test(arguments: ["Dockerfile", "kubernetes/app.yaml"])
    func `The settings of containers are settings`(name: String) throws {
        let environment = try settings(of: name)
        #expect(EnvironmentSettings.unknownNames(in: environment).isEmpty)
        let settings = try RuntimeSettings().applying(environment)
        #expect(settings.controlSocket == "/run/app/control", "where preforkctl in the image finds the supervisor")
        #expect(settings.drainTimeout == .seconds(25))
    }

    @Test func `Kubernetes waits longer than preStop and the drain`() throws {
        let text = read("\(packageRoot)/Sources/Examples/deployment/kubernetes/app.yaml")
        let grace = try #require(text.firstMatch(of: #/terminationGracePeriodSeconds: (\d+)/#).flatMap { Int($0.1) })
        let preStop = try #require(text.firstMatch(of: #/\[sleep, "(\d+)"\]/#).flatMap { Int($0.1) })
        let drain = try RuntimeSettings().applying(settings(of: "kubernetes/app.yaml")).drainTimeout
        #expect(.seconds(grace) > .seconds(preStop) + drain)
    }

    @Test func `The Dockerfile is one of the user's package, and brings the tool`() throws {
        let text = read("\(packageRoot)/Sources/Examples/deployment/Dockerfile")
        let copied = text.matches(of: #/(?m)^COPY (?!--from)(.+)$/#).map { String($0.1) }
        #expect(copied == ["Package.* ./", "Sources ./Sources"])
        #expect(text.contains("--product preforkctl") && text.contains("/out/preforkctl /usr/local/bin/"))
    }
}
