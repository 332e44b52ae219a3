// The requests of the control socket and the metrics port to the supervisor.

package import PreforkSystem

/// The supervisor, as its control and metrics servers see it.
///
/// All calls come from within `turn()` of a server, on the supervisor's thread. They must not wait for anything.
package protocol ControlDelegate: AnyObject {
    func status() -> PoolStatus
    /// Managed processes, in the order in which they were added.
    func managedProcesses() -> [TargetStatus]
    /// The stores, queues and channels that the supervisor's process has made. See `SharedObjects.present`.
    func sharedObjects() -> SharedObjects
    /// Once-tasks, in the order in which they were added.
    func onceTasks() -> [OnceStatus]
    func counters() -> PoolCounters
    /// The last exit reports, oldest first.
    func crashes() -> [ExitReport]
    func listeners() -> [ListenerStatus]
    /// What every worker does now.
    func requests() -> InFlightRequests
    /// Labels of requests that are refused.
    func quarantined() -> [QuarantineStatus]
    /// A step of a profile of workers.
    func profile(_ request: ProfileRequest) -> ProfileAnswer
    /// Appends the program's own metrics.
    func writeMetrics(_ format: MetricFormat, to text: inout [UInt8])
    /// A page of metrics is about to show these.
    func willShow(_ counters: PoolCounters, requests: UInt64)
    /// When the pool's counters began, in seconds since 1970. If nil, that is not known.
    var metricsBegan: Double? { get }
    /// Every setting as it is in force.
    func settings() -> [(name: String, value: String)]

    /// Does, begins or refuses what an operator asked for.
    ///
    /// - Parameters:
    ///   - command: what to do.
    ///   - completion: set when the client waits for the end. After `.done`, call it once, when what was begun has
    ///     ended. After `.failed`, never call it. The call may come before this function returns or long after the
    ///     client has gone. If the process ends first, there is no call.
    /// - Returns: what was done or begun, or why not.
    func perform(_ command: ControlCommand, completion: ((ControlOutcome) -> Void)?) -> ControlOutcome
}

extension ControlDelegate {
    package func profile(_ request: ProfileRequest) -> ProfileAnswer { .refused("nothing can be sampled here") }
    package func writeMetrics(_ format: MetricFormat, to text: inout [UInt8]) {}
    package var metricsBegan: Double? { nil }
    package func willShow(_ counters: PoolCounters, requests: UInt64) {}
    package func onceTasks() -> [OnceStatus] { [] }
}

/// A listener of the pool, as operators see it.
package struct ListenerStatus: Equatable, Sendable {
    /// As `SocketAddress` prints it.
    package var address: String
    /// Connections that wait to be accepted. If nil, the kernel does not tell.
    package var waiting: Int?
    /// How many may wait.
    package var limit: Int?

    package init(address: String, waiting: Int? = nil, limit: Int? = nil) {
        self.address = address
        self.waiting = waiting
        self.limit = limit
    }

    /// Asks the kernel for the present queue.
    package init(of listener: Listener) {
        let queue = listener.queue
        self.init(address: "\(listener.address)", waiting: queue?.waiting, limit: queue?.limit)
    }
}

/// The last ends of workers, as many as `ControlDelegate.crashes` tells.
package struct ExitHistory: Equatable, Sendable {
    package static let capacity = 100
    /// Oldest first.
    package private(set) var reports: [ExitReport] = []

    package init() {}

    package mutating func add(_ report: ExitReport) {
        if reports.count == Self.capacity { reports.removeFirst() }
        reports.append(report)
    }
}
