// A program with threads and an async main that starts subprocesses where a test runner cannot: with descriptors used
// up, standard streams closed, SIGCHLD ignored, rights given up.

import Glibc
import Prefork

let arguments = Array(CommandLine.arguments.dropFirst())

let scenarios: [String: ([String]) async throws -> Void] = [
    "die-with-parent": dieWithParent,
    "refused-identity": refusedIdentity,
    "failed-starts": failedStarts,
    "no-descriptors": noDescriptors,
    "deleted-directory": deletedDirectory,
    "exit-status-lost-ignored": statusLostToTheKernel,
    "exit-status-lost-thief": statusLostToAThief,
    "ways": ways,
    "unstoppable": unstoppable,
    "closed-stdio": closedStdio,
    "concurrent": concurrent,
    "sequential": sequential,
    "lock-storm": lockStorm,
    "drain": drain,
    "early-close": earlyClose,
]

guard let name = arguments.first, let scenario = scenarios[name] else {
    fatalError("usage: subprocess-fixture \(scenarios.keys.sorted().joined(separator: "|")) [argument ...]")
}
do {
    try await scenario(Array(arguments.dropFirst()))
} catch {
    complain("\(name): \(error)")
    exit(1)
}
