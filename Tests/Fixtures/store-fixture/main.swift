// Programs that fork and share a store. `store-fixture SCENARIO [ARGUMENT ...]`.

import Glibc
import Prefork

let arguments = Array(CommandLine.arguments.dropFirst())

let scenarios: [String: ([String]) throws -> Void] = [
    "kill-storm": killStormScenario,
    "kill-everywhere": killEverywhereScenario,
    "stopped-writer": stoppedWriterScenario,
    "history": historyScenario,
    "exec": execScenario,
    "adopt": adoptScenario,
    "publish-storm": publishStormScenario,
    "race-for-last-place": lastPlaceScenario,
]

guard let name = arguments.first, let scenario = scenarios[name] else {
    say("scenarios: \(scenarios.keys.sorted().joined(separator: " "))")
    exit(64)
}
do {
    try scenario(Array(arguments.dropFirst()))
} catch {
    say("error: \(error)")
    exit(75)
}

/// One write for each line, so that lines of several processes do not mix.
func say(_ text: String) {
    let line = Array("\(text)\n".utf8)
    _ = write(STDOUT_FILENO, line, line.count)
}
