// A pool's turning points through swift-metrics.

import Metrics
import Prefork
import Synchronization

extension ForkRuntime {
    /// Counts the pool's events in `factory`, by the hooks `onReady`, `onExit` and `onReload`. Call it before `run`.
    /// Hooks that are set already are called, too. Hooks that are set later replace these.
    ///
    /// `prefork_worker_starts_total` (that became ready), `prefork_worker_exits_total` (by `cause`: exit, signal,
    /// killed, out_of_memory), `prefork_restarts_total`, `prefork_reloads_total`, `prefork_workers_ready` (gauge),
    /// `prefork_worker_uptime` (timer). They are made and recorded in the supervisor, by a factory that starts no
    /// thread: one that pushes needs a process of its own, and for one that is scraped Prefork has `PREFORK_METRICS`,
    /// which has more.
    ///
    /// - Parameter factory: makes the counters, the gauge and the timer.
    public mutating func recordMetrics(in factory: any MetricsFactory) {
        let metrics = PoolMetrics(factory: factory)
        hooks.onReady = { [before = hooks.onReady] worker in
            metrics.workerIsReady()
            before?(worker)
        }
        hooks.onExit = { [before = hooks.onExit] exit in
            metrics.workerHasEnded(exit)
            before?(exit)
        }
        hooks.onReload = { [before = hooks.onReload] generation in
            try before?(generation)
            metrics.reloads.increment()
        }
    }
}

/// The metrics of one pool.
private final class PoolMetrics: Sendable {
    let reloads: Counter
    private let factory: any MetricsFactory
    private let starts: Counter
    private let restarts: Counter
    private let uptime: Timer
    private let readyWorkers: Gauge
    private let readyCount = Mutex(0)

    init(factory: any MetricsFactory) {
        self.factory = factory
        starts = Counter(label: "prefork_worker_starts_total", dimensions: [], factory: factory)
        restarts = Counter(label: "prefork_restarts_total", dimensions: [], factory: factory)
        reloads = Counter(label: "prefork_reloads_total", dimensions: [], factory: factory)
        uptime = Timer(label: "prefork_worker_uptime", dimensions: [], factory: factory)
        readyWorkers = Gauge(label: "prefork_workers_ready", dimensions: [], factory: factory)
    }

    func workerIsReady() {
        starts.increment()
        countReady(1)
    }

    func workerHasEnded(_ exit: ExitReport) {
        if exit.wasReady { countReady(-1) }
        if case .restart = exit.consequence { restarts.increment() }
        let (seconds, attoseconds) = exit.uptime.components
        uptime.recordNanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
        Counter(label: "prefork_worker_exits_total", dimensions: [("cause", exit.cause)], factory: factory).increment()
    }

    private func countReady(_ change: Int) {
        let now = readyCount.withLock { count in
            count += change
            return count
        }
        readyWorkers.record(now)
    }
}

extension ExitReport {
    fileprivate var cause: String {
        if outOfMemory { return "out_of_memory" }
        if killReason != nil { return "killed" }
        return wasSignaled ? "signal" : "exit"
    }

    private var wasSignaled: Bool { if case .signaled = status { true } else { false } }
}
