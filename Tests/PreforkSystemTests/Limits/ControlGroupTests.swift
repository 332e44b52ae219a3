// What control group files mean, on hosts of every kind.

import Testing

@testable import PreforkSystem

private func group(
    _ membership: String, _ mounts: String, _ files: [String: String] = [:]
) -> ControlGroup {
    ControlGroup(membership: membership, mounts: mounts, readFile: { files[$0] })
}

private let unifiedMount = "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
private let cpuMount = "33 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct"

@Suite struct ControlGroupTests {
    @Test func version2TakesTheTightestQuotaOfTheGroupAndItsAncestors() {
        let files = [
            "/sys/fs/cgroup/a/b/cpu.max": "400000 100000\n", "/sys/fs/cgroup/a/cpu.max": "150000 100000\n",
            "/sys/fs/cgroup/cpu.max": "max 100000\n",
        ]
        #expect(group("0::/a/b\n", unifiedMount, files).cpuQuota == 1.5)
    }

    @Test func version1ReadsTwoFilesAndMinusOneIsNoLimit() {
        let directory = "/sys/fs/cgroup/cpu,cpuacct"
        let limited = [
            "\(directory)/x/cpu.cfs_quota_us": "50000\n", "\(directory)/x/cpu.cfs_period_us": "100000\n",
            "\(directory)/cpu.cfs_quota_us": "-1\n", "\(directory)/cpu.cfs_period_us": "100000\n",
        ]
        #expect(group("4:cpu,cpuacct:/x\n", cpuMount, limited).cpuQuota == 0.5)
        #expect(group("4:cpu,cpuacct:/\n", cpuMount, limited).cpuQuota == nil)
    }

    @Test func hybridHostsAreReadInBothHierarchies() {
        let mounts = "\(cpuMount)\n31 30 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"
        let hybrid = group("4:cpu,cpuacct:/x\n1:name=systemd:/\n0::/y\n", mounts)
        #expect(hybrid.unified?.directory == "/sys/fs/cgroup/unified/y")
        #expect(hybrid.controllers["cpu"]?.directory == "/sys/fs/cgroup/cpu,cpuacct/x")
        #expect(hybrid.controllers["name=systemd"] == nil)
    }

    @Test func aMountThatShowsAPartOfTheHierarchyIsSubtracted() {
        let mount = "30 24 0:26 /kubepods/x /sys/fs/cgroup rw - cgroup2 cgroup2 rw"
        #expect(group("0::/kubepods/x/y\n", mount).unified?.directory == "/sys/fs/cgroup/y")
        #expect(group("0::/kubepods/x\n", mount).unified?.directory == "/sys/fs/cgroup")
        #expect(group("0::/elsewhere\n", mount).unified?.directory == "/sys/fs/cgroup")
        #expect(group("0::/../..\n", unifiedMount).unified?.directory == "/sys/fs/cgroup")
    }

    @Test func escapedBlanksInMountPointsAreDecoded() {
        let mount = "30 24 0:26 / /my\\040groups rw - cgroup2 cgroup2 rw"
        #expect(group("0::/a\n", mount).unified?.directory == "/my groups/a")
    }

    @Test(arguments: [
        "", "max", "max 100000", "0 100000", "-5 100000", "100000 0", "100000 -1", "x y", "1 2 3",
        "99999999999999999999 100000", "\u{0}\u{1}",
    ])
    func garbageIsNoLimit(text: String) {
        #expect(group("0::/\n", unifiedMount, ["/sys/fs/cgroup/cpu.max": text]).cpuQuota == nil)
    }

    @Test(arguments: ["", "x", "0:", ":::", "0::", "a:b:c\n\n\n", "4:cpu", "- - -"])
    func garbageInTheProcFilesIsNoGroup(text: String) {
        #expect(group(text, text).cpuQuota == nil)
        #expect(group(text, unifiedMount).cpuQuota == nil)
        #expect(group("0::/a\n", text).unified == nil)
    }

    @Test func theMemoryLimitIsThatWithTheLeastRoomInEitherVersion() {
        let files = [
            "/sys/fs/cgroup/a/b/memory.max": "max\n", "/sys/fs/cgroup/a/memory.max": "1000\n",
            "/sys/fs/cgroup/a/memory.current": "700\n",
            "/sys/fs/cgroup/a/memory.stat": "anon 100\nfile 500\ninactive_file 300\nactive_file 100\n",
            "/sys/fs/cgroup/memory.max": "600\n", "/sys/fs/cgroup/memory.current": "50\n",
        ]
        let unified = group("0::/a/b\n", unifiedMount, files).memoryLimit
        #expect(unified == MemoryLimit(group: "/sys/fs/cgroup", bytes: 600, used: 50))
        let mount = "35 30 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"
        let separate = [
            "/sys/fs/cgroup/memory/x/memory.limit_in_bytes": "4096\n",
            "/sys/fs/cgroup/memory/x/memory.usage_in_bytes": "5000\n",
            "/sys/fs/cgroup/memory/x/memory.stat": "total_inactive_file 10\ntotal_active_file 20\n",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        ]
        let limit = group("4:memory:/x\n", mount, separate).memoryLimit
        #expect(limit == MemoryLimit(group: "/sys/fs/cgroup/memory/x", bytes: 4096, used: 4970))
        #expect(limit?.room == 0)
        #expect(group("4:memory:/\n", mount, separate).memoryLimit == nil)
    }

    @Test(arguments: ["", "max", "-1", "1.5", "99999999999999999999", "\u{0}"])
    func garbageIsNoMemoryLimit(text: String) {
        #expect(group("0::/\n", unifiedMount, ["/sys/fs/cgroup/memory.max": text]).memoryLimit == nil)
    }

    @Test func theOutOfMemoryCounterIsReadFromEitherVersion() {
        #expect(OutOfMemoryKills.count(in: "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n") == 2)
        #expect(OutOfMemoryKills.count(in: "oom_kill_disable 0\nunder_oom 0\noom_kill 7\n") == 7)
        #expect(OutOfMemoryKills.count(in: "oom_kill x\n") == nil)
        #expect(OutOfMemoryKills.count(in: "") == nil)
    }
}

@Suite struct CPUCountTests {
    @Test(arguments: [
        (8, nil, 8), (8, 1.5, 2), (8, 0.1, 1), (8, 8.0, 8), (2, 64.0, 2), (0, nil, 1), (-3, 0.0, 1), (4, 1e300, 4),
        (8, 2.0, 2), (8, 2.000001, 3),
    ] as [(Int, Double?, Int)])
    func theQuotaIsRoundedUpAndNeverBeyondTheProcessors(affinity: Int, quota: Double?, expected: Int) {
        #expect(CPULimits(affinity: affinity, quota: quota).count == expected)
    }

    @Test func theOverrideTellsAbsentFromInvalid() {
        #expect(workerOverride(nil) == .absent)
        #expect(workerOverride("") == .absent)
        #expect(workerOverride("auto") == .absent, "the documented word for the count of processors")
        #expect(workerOverride("+3") == .invalid("+3"), "as the setting")
        #expect(workerOverride("12") == .valid(12))
        for text in ["0", "-1", "two", "1.5", " 3", "99999999999999999999"] {
            #expect(workerOverride(text) == .invalid(text))
        }
    }

    @Test func thisMachineHasAtLeastOne() {
        #expect(cpuCount() >= 1)
    }
}
