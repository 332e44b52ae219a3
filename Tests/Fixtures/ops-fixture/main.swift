// Servers whose operation is tested, and their clients: `ops-fixture SCENARIO [NAME=VALUE ...]`.

import PreforkFixtureSupport

runScenario(of: [
    "serve": serveScenario,
    "load": loadScenario,
    "earlier": earlierScenario,
])
