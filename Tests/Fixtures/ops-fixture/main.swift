// Servers whose operation is tested, and their clients: `ops-fixture SCENARIO [NAME=VALUE ...]`.

import PreforkFixtureSupport

// Before the environment loses it.
_ = Image.current

runScenario(of: [
    "serve": serveScenario,
    "spares": sparesScenario,
    "load": loadScenario,
    "earlier": earlierScenario,
    "tornado": tornadoScenario,
    "access-log": accessLogScenario,
    "burn": burnScenario,
    "pieces": piecesScenario,
    "bounds": boundsScenario,
    "main-actor": mainActorScenario,
])
