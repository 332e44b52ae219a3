// Programs that meet their host, for tests that must not: `host-fixture SCENARIO [ARGUMENT ...]`.

import PreforkFixtureSupport

runScenario(of: [
    "activate": activateScenario,
    "activated": activatedScenario,
    "privileges": privilegesScenario,
    "chroot": chrootScenario,
    "chroot-outside": chrootOutsideScenario,
    "title": titleScenario,
    "pid-file": pidFileScenario,
    "pid-file-child": pidFileChildScenario,
    "pid-file-exec": pidFileExecScenario,
    "pid-file-adopt": pidFileAdoptScenario,
    "pid-file-race": pidFileRaceScenario,
    "pid-file-of-before": pidFileOfBeforeScenario,
    "lock-as-nobody": lockAsNobodyScenario,
    "unix-listen": unixListenScenario,
    "unix-owner": unixOwnerScenario,
    "closed-descriptors": closedDescriptorsScenario,
    "unix-storm": unixStormScenario,
    "unix-links": unixLinksScenario,
    "log-limit": logLimitScenario,
    "affinity": affinityScenario,
    "full-stdout": fullStandardOutputScenario,
    "orphans": orphansScenario,
    "orphans-end": orphansEndScenario,
    "hang": hangScenario,
    "profile": profileScenario,
    "notify-from-child": notifyFromChildScenario,
])
