// Programs that meet their host, for tests that must not: `host-fixture SCENARIO [ARGUMENT ...]`.

import PreforkFixtureSupport

runScenario(of: [:])
