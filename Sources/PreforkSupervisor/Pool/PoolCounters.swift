// Counters of a pool over its whole life.

package import PreforkSystem

/// What happened in a pool since its supervisor began, upgrades included, for the metrics.
package struct PoolCounters: Equatable, Sendable {
    /// Ends of workers that a successor followed, by cause: `exit`, `signal`, `out_of_memory`, `lost`, or why the
    /// supervisor killed the worker.
    package internal(set) var restarts: [String: UInt64] = [:]
    /// The same ends by kind: `boot`, `request`, `other`.
    package internal(set) var restartKinds: [ExitReport.Kind: UInt64] = [:]
    /// From fork to readiness.
    package internal(set) var boots = DurationHistogram()
    /// From the request to finish to the end.
    package internal(set) var drains = DurationHistogram()
    /// Requests of workers that have ended. Living workers count their own.
    package internal(set) var retiredRequests: UInt64 = 0
    /// Forks that the kernel refused. Each is tried again later.
    package internal(set) var failedForks: UInt64 = 0
    /// Reloads whose new workers have held for `ReloadPolicy.probation`.
    package internal(set) var finishedReloads: UInt64 = 0
    /// Reloads that were given up. Workers that had not been replaced yet stayed.
    package internal(set) var abortedReloads: UInt64 = 0
    /// Processes that have told of their crash: workers, and managed processes. One that has no way to tell of it, as
    /// when SIGKILL ends it, is not among them.
    package internal(set) var crashedWorkers: UInt64 = 0
    /// As `crashedWorkers`, for managed processes.
    package internal(set) var crashedManagedProcesses: UInt64 = 0
    /// Requests that took longer than `RuntimeSettings.slowRequest`. Each counts once.
    package internal(set) var slowRequests: UInt64 = 0
    /// How often a worker's event loop stood still for `RuntimeSettings.loopStall`. Each stall counts once.
    package internal(set) var loopStalls: UInt64 = 0
    /// How often a label of requests came into quarantine for its crashes.
    package internal(set) var quarantinedLabels: UInt64 = 0
    /// Requests that workers have refused because their label is in quarantine. The workers' own word.
    package internal(set) var refusedRequests: UInt64 = 0
    /// How long requests took, in nanoseconds, as servers of HTTP on the workers' loops have counted them. The workers' own
    /// word.
    package internal(set) var requestDurations = HistogramCounts(Scoreboard.requestDurations)
    /// What workers and managed processes have written and the log has not, because it was too much.
    package internal(set) var lostOutputBytes: UInt64 = 0
    /// As `lostOutputBytes`, in lines.
    package internal(set) var lostOutputLines: UInt64 = 0

    /// Counters that are all zero.
    package init() {}

    /// A worker became ready.
    package mutating func recordBoot(after duration: Duration) {
        boots.add(duration)
    }

    /// A worker that was asked to finish ended.
    package mutating func recordDrain(after duration: Duration) {
        drains.add(duration)
    }

    /// A worker ended.
    ///
    /// - Parameter requests: how many it had answered.
    package mutating func recordExit(_ report: ExitReport, requests: UInt64) {
        retiredRequests &+= requests
        guard case .restart = report.consequence else { return }
        restarts[Self.cause(of: report), default: 0] &+= 1
        restartKinds[report.kind, default: 0] &+= 1
    }

    package mutating func recordFailedFork() {
        failedForks &+= 1
    }

    mutating func recordLostOutput(_ lost: OutputLines.Lost) {
        lostOutputBytes &+= UInt64(clamping: lost.bytes)
        lostOutputLines &+= UInt64(clamping: lost.lines)
    }

    package mutating func recordReload(done: Bool) {
        if done { finishedReloads &+= 1 } else { abortedReloads &+= 1 }
    }

    /// Every cause that `restarts` can have.
    static let causes: [String] = {
        let reasons: [KillReason] = [
            .bootTimeout, .drainTimeout, .stopNow, .hung, .asked, .oldGeneration, .crashed,
        ]
        return ["exit", "signal", "lost", "out_of_memory"] + reasons.map { snakeCase("\($0)") }
    }()

    /// One word, as a label wants it.
    static func cause(of report: ExitReport) -> String {
        if report.outOfMemory { return "out_of_memory" }
        if let reason = report.killReason { return snakeCase("\(reason)") }
        return switch report.status {
        case .exited: "exit"
        case .signaled: "signal"
        case .lost: "lost"
        }
    }

    /// `bootTimeout` as `boot_timeout`: derived from the reasons' names, so that no reason is forgotten here.
    private static func snakeCase(_ name: String) -> String {
        var result = ""
        for character in name.prefix(while: { $0 != "(" }) {
            if character.isUppercase { result += "_" }
            result += character.lowercased()
        }
        return result
    }
}
