// The whole output of `--print-config`, read back by those who read such files.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkSupervisor

/// The rules of systemd 252 for an EnvironmentFile= (`parse_env_file_internal` in src/basic/env-file.c).
/// `Scripts/test --machine` compares them with systemd itself.
private struct EnvironmentFile {
    private enum State {
        case beforeKey, key, beforeValue, value, valueEscape, single, double, doubleEscape, comment, commentEscape
    }

    private(set) var values: [String: String] = [:]
    private var key = ""
    private var value = ""

    init(_ text: String) {
        var state = State.beforeKey
        for scalar in text.unicodeScalars {
            let character = Character(scalar)
            switch state {
            case .beforeKey where character == "#" || character == ";": state = .comment
            case .beforeKey where character.isWhitespace: break
            case .beforeKey:
                state = .key
                key = String(character)
            case .key where character.isNewline: state = .beforeKey
            case .key where character == "=": state = .beforeValue
            case .key: key.append(character)
            case .beforeValue where character.isNewline: end(&state)
            case .beforeValue where character == "'": state = .single
            case .beforeValue where character == "\"": state = .double
            case .beforeValue where character == "\\": state = .valueEscape
            case .beforeValue where character.isWhitespace: break
            case .beforeValue:
                state = .value
                value.unicodeScalars.append(scalar)
            case .value where character.isNewline:
                while value.last?.isWhitespace == true { value.removeLast() }
                end(&state)
            case .value where character == "\\": state = .valueEscape
            case .value: value.unicodeScalars.append(scalar)
            case .valueEscape:
                state = .value
                if !character.isNewline { value.unicodeScalars.append(scalar) }
            case .single where character == "'": state = .beforeValue
            case .single: value.unicodeScalars.append(scalar)
            case .double where character == "\"": state = .beforeValue
            case .double where character == "\\": state = .doubleEscape
            case .double: value.unicodeScalars.append(scalar)
            case .doubleEscape:
                state = .double
                if "\"\\`$".contains(character) {
                    value.unicodeScalars.append(scalar)
                } else if !character.isNewline {
                    value.unicodeScalars.append("\\")
                    value.unicodeScalars.append(scalar)
                }
            case .comment where character == "\\": state = .commentEscape
            case .comment where character.isNewline: state = .beforeKey
            case .comment: break
            case .commentEscape: state = .comment
            }
        }
        if state != .beforeKey, state != .comment, state != .key { end(&state) }
    }

    private mutating func end(_ state: inout State) {
        values[key] = value
        value = ""
        state = .beforeKey
    }
}

@Suite(.timeLimit(.minutes(2))) struct PrintedSettingsTests {
    private static let awkward = [
        "it's a shop", "\"quoted\"", "a\\b\\", "$HOME `id` $(id)", " leading and trailing ", "#no comment",
        "; nor this",
        "größe → 漢", "a=b&c|d>e<f;g*?[x]~!", "'\\''", "two\nlines", "tab\there", "%h %% {}",
    ]

    private func settings(_ service: String) -> RuntimeSettings {
        var settings = RuntimeSettings()
        settings.workers = .count(3)
        settings.scaling = ScalingPolicy(workers: 2...4, backlog: 2.5)
        settings.recycling.memory = 3 << 29
        settings.restarts.window = .init(count: 3, per: .seconds(120))
        settings.metrics = .tcp("::1", 9_100)
        settings.affinity = .processors([1, 3])
        settings.privileges.groups = .list(["a", "b"])
        // The environment of a `ChildProgram` has it.
        settings.loopStall = nil
        settings.service = service
        settings.logFile = "/var/log/\(service)"
        return settings
    }

    private func isExpected(_ found: [String: String], _ settings: RuntimeSettings) throws {
        #expect(try RuntimeSettings().applying(found) == settings)
        for option in EnvironmentSettings.options where option.show(settings) != option.standard {
            #expect(found[option.name] == option.show(settings))
        }
    }

    @Test(arguments: awkward) func aShellReadsTheWholeOutputBack(service: String) async throws {
        let settings = settings(service)
        let path = try temporaryFile()
        defer { unlink(path) }
        let file = try #require(fopen(path, "w"))
        fputs(EnvironmentSettings.text(of: settings, environment: [:]), file)
        fclose(file)
        let shell = try ChildProgram("/bin/sh", ["-c", "set -a; . \(path); exec env -0"])
        #expect(try await shell.waitForExit() == 0 && shell.errors.isEmpty, "\(shell.errors)")
        var found: [String: String] = [:]
        for entry in shell.output.split(separator: "\0") where entry.hasPrefix("PREFORK_") {
            let parts = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            // The tests' own. See `ChildProgram`.
            let ofTests = ["PREFORK_PROBATION", "PREFORK_SPARES"]
            if !ofTests.contains(String(parts[0])) { found[String(parts[0])] = String(parts[1]) }
        }
        try isExpected(found, settings)
    }

    @Test(arguments: awkward) func anEnvironmentFileReadsTheWholeOutputBack(service: String) throws {
        let settings = settings(service)
        try isExpected(EnvironmentFile(EnvironmentSettings.text(of: settings, environment: [:])).values, settings)
    }

    /// `Environment=PREFORK_CONTROL=...` of the unit holds although the file has all settings.
    @Test func whatIsNotSetIsAComment() throws {
        #expect(EnvironmentFile(EnvironmentSettings.text(of: RuntimeSettings(), environment: [:])).values.isEmpty)
        let environment = ["PREFORK_HEARTBEAT": "off", "PREFORK_CONTROL": "", "PREFORK_WORKERS": "auto"]
        let text = EnvironmentSettings.text(of: try RuntimeSettings().applying(environment), environment: environment)
        #expect(EnvironmentFile(text).values == ["PREFORK_HEARTBEAT": "off", "PREFORK_WORKERS": "auto"])
        #expect(text.contains("\n#PREFORK_CONTROL=off\n"))
        for option in EnvironmentSettings.options { #expect(text.contains("\(option.name)=")) }
    }
}
