// Handles that travel between the processes of a service: `travel-fixture SCENARIO [NAME=VALUE ...]`.

import PreforkFixtureSupport

runScenario(of: [
    "service": serviceScenario,
    "names": namesScenario,
    "main-receives": mainReceivesHandlesScenario,
    "leaks": leaksScenario,
    "hostile": hostileScenario,
    "no-room": noRoomScenario,
])
