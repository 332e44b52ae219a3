// Programs that fork and share a work queue: queue-fixture SCENARIO [ARGUMENT ...].

import PreforkFixtureSupport
import PreforkSystem

// The first process of a scenario works as its children do: on a busy machine it may wait longer than a supervisor.
LockPatience.allowLongWaits()

runScenario(of: [
    "spread": spreadScenario,
    "killed-owner": killedOwnerScenario,
    "newcomer": newcomerScenario,
    "successor-at-work": successorAtWorkScenario,
    "stopped-owner": stoppedOwnerScenario,
    "poison": poisonScenario,
    "busy": busyScenario,
    "lost-room": lostRoomScenario,
    "full": fullScenario,
    "forked-delivery": forkedDeliveryScenario,
    "ping-pong": pingPongScenario,
    "generations": generationsScenario,
    "quiet": quietScenario,
    "stopping": stoppingScenario,
    "storm": stormScenario,
    "throughput": throughputScenario,
])
