// Programs that fork and share a work queue: queue-fixture SCENARIO [ARGUMENT ...].

import Prefork

let scenarios: [String: ([String]) throws -> Void] = [
    "spread": spreadScenario,
    "killed-owner": killedOwnerScenario,
    "newcomer": newcomerScenario,
    "stopped-owner": stoppedOwnerScenario,
    "poison": poisonScenario,
    "busy": busyScenario,
    "lost-room": lostRoomScenario,
    "full": fullScenario,
    "forked-delivery": forkedDeliveryScenario,
    "ping-pong": pingPongScenario,
    "generations": generationsScenario,
    "quiet": quietScenario,
    "storm": stormScenario,
    "throughput": throughputScenario,
]

let arguments = Array(CommandLine.arguments.dropFirst())
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
