// Programs that fork, for tests that must not: a test runner has many threads. `fork-fixture SCENARIO [ARGUMENT ...]`.

import PreforkFixtureSupport

runScenario(of: [
    "tornado": tornadoScenario,
    "max-restarts": maxRestartsScenario,
    "threads": threadsScenario,
    "fork-in-worker": forkInWorkerScenario,
    "bad-count": badCountScenario,
    "stdio": stdioScenario,
    "random": randomScenario,
    "own-children": ownChildrenScenario,
    "serve": serveScenario,
    "slow-boot": slowBootScenario,
    "ignore-stop": ignoreStopScenario,
    "crash-loop": crashLoopScenario,
    "fork-refused": forkRefusedScenario,
    "hooks": hooksScenario,
    "one-thread": oneThreadScenario,
    "body-fails": bodyFailsScenario,
    "descriptors": descriptorsScenario,
    "subprocess": subprocessScenario,
    "lock-owner-dies": lockOwnerDiesScenario,
    "lock-not-recovered": lockNotRecoveredScenario,
    "lock-owner-stopped": lockOwnerStoppedScenario,
    "contend": contendScenario,
    "out-of-memory": outOfMemoryScenario,
    "orders": ordersScenario,
    "storming-bells": stormingBellsScenario,
])
