// Programs that fork and share a store. `store-fixture SCENARIO [ARGUMENT ...]`.

import PreforkFixtureSupport

runScenario(of: [
    "kill-storm": killStormScenario,
    "kill-everywhere": killEverywhereScenario,
    "stopped-writer": stoppedWriterScenario,
    "history": historyScenario,
    "exec": execScenario,
    "adopt": adoptScenario,
    "publish-storm": publishStormScenario,
    "race-for-last-place": lastPlaceScenario,
])
