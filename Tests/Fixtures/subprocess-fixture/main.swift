// A program with threads and an async main that starts subprocesses where a test runner cannot: with descriptors used
// up, standard streams closed, SIGCHLD ignored, rights given up.

import PreforkFixtureSupport

await runScenario(of: [
    "die-with-parent": dieWithParent,
    "refused-identity": refusedIdentity,
    "failed-starts": failedStarts,
    "no-descriptors": noDescriptors,
    "deleted-directory": deletedDirectory,
    "exit-status-lost-ignored": statusLostToTheKernel,
    "exit-status-lost-thief": statusLostToAThief,
    "ways": ways,
    "unstoppable": unstoppable,
    "timed-out": timedOut,
    "collects": collects,
    "closed-stdio": closedStdio,
    "concurrent": concurrent,
    "sequential": sequential,
    "killed": killed,
    "lock-storm": lockStorm,
    "drain": drain,
    "early-close": earlyClose,
])
