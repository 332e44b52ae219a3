// The number of workers that "one per core" means here.

import CPrefork
import Glibc

/// How many processors this process may use: the number in its affinity mask (sched_getaffinity(2)), limited by its
/// control groups' CPU quota, rounded up, and at least 1. The environment variable `PREFORK_WORKERS` overrides.
///
/// Follows tornado.process.cpu_count, which counts the machine's processors whatever share of them a container has
/// (and so starts 64 workers for half a core: nginx/docker-nginx #31, laravel/octane #1101).
public func cpuCount() -> Int {
    if case .valid(let count) = workerOverride(CurrentProcess.environment("PREFORK_WORKERS")) { return count }
    return processorCount()
}

/// As `cpuCount()`, whatever the number of workers is set to.
package func processorCount() -> Int {
    CPULimits(affinity: affinityCount(), quota: ControlGroup.current.cpuQuota).count
}

/// What limits a process's use of processors.
struct CPULimits {
    var affinity: Int
    /// Processors' worth of time, for example 1.5. If nil, there is no limit.
    var quota: Double?

    var count: Int {
        let processors = max(1, affinity)
        // A quota beyond the processors is not a limit. Compared as Double, so that no value is too large to convert.
        guard let quota, quota < Double(processors) else { return processors }
        return max(1, Int(quota.rounded(.up)))
    }
}

/// The meaning of a PREFORK_WORKERS.
package enum WorkerOverride: Equatable, Sendable {
    /// Not set, or `auto`.
    case absent
    case valid(Int)
    case invalid(String)
}

/// Accepts the same values as the setting, so that a program which calls `cpuCount()` or `forkProcesses` alone reads
/// the variable as a pool does: `auto` selects the count of processors, as if the variable were not set.
///
/// - Parameter value: the variable's text. Nil or empty if it is not set.
package func workerOverride(_ value: String?) -> WorkerOverride {
    guard let value, !value.isEmpty, value != "auto" else { return .absent }
    // Int reads `+3`, too, which the setting refuses.
    guard value.utf8.allSatisfy({ 48...57 ~= $0 }), let count = Int(value), count > 0 else { return .invalid(value) }
    return .valid(count)
}

/// The processors in this process's affinity mask.
private func affinityCount() -> Int {
    let count = Int(cprefork_affinity_count())
    return count > 0 ? count : Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
}
