// A pool whose processes count in shared metrics: `metrics-fixture SCENARIO [NAME=VALUE ...]`.

import PreforkFixtureSupport

runScenario(of: ["serve": serveScenario, "plain": plainScenario])
