// The tables of the manual's migration pages: each variable is a setting that takes the value, each command one of
// preforkctl's. The Swift in them is compiled by Scripts/check-snippets.

import Glibc
import PreforkSupervisor
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct MigratingTablesTests {
    /// What is between backticks in the tables of all pages named Migrating.
    private static let codes: [String] = {
        let pages = filePaths(below: "\(packageRoot)/Sources/Prefork/Documentation.docc")
        return pages.filter { $0.split(separator: "/").last?.hasPrefix("Migrating") == true }.flatMap { page in
            read(page).split(separator: "\n").filter { $0.hasPrefix("|") }.flatMap { row in
                row.split(separator: "`", omittingEmptySubsequences: false).enumerated()
                    .filter { !$0.offset.isMultiple(of: 2) }.map { String($0.element) }
            }
        }
    }()

    @Test func everyVariableIsASettingThatTakesItsValue() throws {
        let variables = Self.codes.filter { $0.hasPrefix("PREFORK_") }
        #expect(variables.count > 40, "the pages have been found")
        for variable in variables {
            let parts = variable.split(separator: "=", maxSplits: 1).map(String.init)
            #expect(EnvironmentSettings.options.contains { $0.name == parts[0] }, "\(variable)")
            guard parts.count == 2 else { continue }
            #expect(throws: Never.self, "\(variable)") {
                // These two go together.
                var environment = ["PREFORK_MIN_WORKERS": "1", "PREFORK_MAX_WORKERS": "100"]
                environment[parts[0]] = parts[1]
                _ = try RuntimeSettings().applying(environment)
            }
        }
    }

    @Test func everyCommandIsOneOfTheTools() async throws {
        let commands = Set(Self.codes.filter { $0.hasPrefix("preforkctl ") }.map { $0.split(separator: " ")[1] })
        #expect(commands.count >= 4)
        let help = try ChildProgram("preforkctl", ["--help"])
        _ = try await help.waitForExit()
        let lines = (help.output + help.errors).split(separator: "\n").map { $0.drop { $0 == " " } }
        for command in commands { #expect(lines.contains { $0.hasPrefix(command) }, "\(command)") }
    }
}
