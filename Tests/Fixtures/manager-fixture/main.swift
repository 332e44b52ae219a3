// Programs that manage processes, for tests that must not fork: `manager-fixture SCENARIO [ARGUMENT ...]`.

import Glibc
import Prefork

let arguments = Array(CommandLine.arguments.dropFirst())

let scenarios: [String: ([String]) throws -> Void] = [
    "first": firstScenario,
    "ends": endsScenario,
    "ignores-term": ignoresTermScenario,
    "start-timeout": startTimeoutScenario,
    "storm": stormScenario,
    "crash-tree": crashTreeScenario,
    "storm-tree": stormTreeScenario,
    "hundred": hundredScenario,
    "dependencies": dependenciesScenario,
    "dependency-fails": dependencyFailsScenario,
    "bad-dependencies": badDependenciesScenario,
    "not-ready": notReadyScenario,
    "codes-and-data": codesAndDataScenario,
    "generations": generationsScenario,
    "throwing-hooks": throwingHooksScenario,
    "waiting-hook": waitingHookScenario,
    "names": namesScenario,
    "code-while-terminating": codeWhileTerminatingScenario,
    "loop": loopScenario,
    "run": runScenario,
    "beside": besideScenario,
    "beside-crash": besideCrashScenario,
    "threads": threadsScenario,
    "let-go": letGoScenario,
    "locks": locksScenario,
    "no-descriptors": noDescriptorsScenario,
    "fork-refused": forkRefusedScenario,
    "slow-hook": slowHookScenario,
    "idle": idleScenario,
    "flood": floodScenario,
    "L1": joinScenario,
    "L2": aliveScenario,
    "L3": removeScenario,
    "L4": twiceScenario,
    "L5": noticeScenario,
    "L6": oneAfterZeroScenario,
    "L7": hookNamesScenario,
    "L9": oneGraceScenario,
    "L11": noThreadScenario,
    "L12": nobodyWaitsScenario,
    "L13": nestedScenario,
    "L14": delaysScenario,
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
