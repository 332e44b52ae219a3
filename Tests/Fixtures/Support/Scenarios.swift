// The main program of a fixture: `FIXTURE SCENARIO [ARGUMENT ...]`.

/// Runs the scenario that the command line names.
package func runScenario(of scenarios: [String: ([String]) throws -> Void]) {
    do { try chosen(of: scenarios)(scenarioArguments) } catch { leave(error) }
}

/// As above, for scenarios with a loop or threads of their own. A program that forks must not get here: to wait for an
/// async function can start a thread.
package func runScenario(of scenarios: [String: ([String]) async throws -> Void]) async {
    do { try await chosen(of: scenarios)(scenarioArguments) } catch { leave(error) }
}

private var scenarioArguments: [String] { Array(CommandLine.arguments.dropFirst(2)) }

/// Unlike `fail`: this is not a child, whatever waits in stdio's buffer is its own.
private func leave(_ error: any Error) -> Never {
    say("error: \(error)")
    exit(75)
}

private func chosen<Scenario>(of scenarios: [String: Scenario]) -> Scenario {
    guard let scenario = scenarios[CommandLine.arguments.dropFirst().first ?? ""] else {
        say("scenarios: \(scenarios.keys.sorted().joined(separator: " "))")
        exit(64)
    }
    return scenario
}

extension [String] {
    /// The argument at `index` as a number.
    package func number<Number: FixedWidthInteger>(_ index: Int, default standard: Number) -> Number {
        dropFirst(index).first.flatMap { Number($0) } ?? standard
    }
}
