// Programs that run trees of services: `tree-fixture SCENARIO [ARGUMENT ...]`.

import PreforkFixtureSupport

let forking: [String: ([String]) throws -> Void] = [
    "order": orderScenario,
    "ready": readyScenario,
    "gives-up": givesUpScenario,
    "ends": endsScenario,
    "budget": budgetScenario,
    "late": lateScenario,
    "quick": quickScenario,
    "managed": managedScenario,
    "managed-ends": managedEndsScenario,
    "worker-scope": workerScopeScenario,
    "blocking": blockingScenario,
    "blocking-managed": blockingManagedScenario,
]

// The others are plain programs, with Swift's own executor: nothing is awaited in one that forks.
if forking[CommandLine.arguments.dropFirst().first ?? ""] != nil {
    runScenario(of: forking)
} else {
    await runScenario(of: [
        "plain": plainScenario,
        "stubborn": stubbornScenario,
        "own-handler": ownHandlerScenario,
        "scope": scopeScenario,
    ])
}
