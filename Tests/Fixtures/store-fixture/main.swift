// Programs that fork and share a store. `store-fixture SCENARIO [ARGUMENT ...]`.

import PreforkFixtureSupport
import PreforkSystem

// The first process of a scenario works as its children do: on a busy machine it may wait longer than a supervisor.
LockPatience.allowLongWaits()

runScenario(of: [
    "kill-storm": killStormScenario,
    "kill-everywhere": killEverywhereScenario,
    "stopped-writer": stoppedWriterScenario,
    "named-owner": namedOwnerScenario,
    "history": historyScenario,
    "exec": execScenario,
    "adopt": adoptScenario,
    "publish-storm": publishStormScenario,
    "race-for-last-place": lastPlaceScenario,
    "limited": limitedScenario,
    "kill-waker": killWakerScenario,
    "tree": treeScenario,
])
