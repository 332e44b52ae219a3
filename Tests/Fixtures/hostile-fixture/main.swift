// A pool with hostile members, and who besieges it: `hostile-fixture SCENARIO [NAME=VALUE ...]`.

import PreforkFixtureSupport

runScenario(of: [
    "serve": serveScenario,
    "siege": siegeScenario,
    "trapped": trappedScenario,
    "ends": endsScenario,
    "lines": linesScenario,
    "managed-ends": managedEndsScenario,
])
