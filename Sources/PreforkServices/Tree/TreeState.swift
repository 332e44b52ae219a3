// The state of a run of a tree.

struct TreeState {
    enum Stage {
        case fresh, starting, up
        /// It must end, and services in transition must finish first.
        case settling
        case stopping, over
    }

    /// What this tree does with a service.
    enum Phase: UInt8 {
        case none
        /// Another tree is starting or stopping it.
        case watching
        case starting
        /// Its start has returned and it has not said that it is ready.
        case unannounced
        case up
        /// Its start has failed, and its tasks are ending.
        case failing
        case stopping
        /// Its stop has returned, and its tasks are ending.
        case draining
        /// Down, and to be started again.
        case down
        case gone
        /// As above, but not waited for any more.
        case leftStarting, leftFailing, leftStopping, leftDraining
    }

    struct Node {
        var phase = Phase.none
        var since = Duration.zero
        var task: Task<Void, Never>?
        /// When its start or stop is cancelled, and when it is not waited for any longer.
        var cancelAt: Duration?
        var leaveAt: Duration?
        var isCut = false
        /// What one of its tasks has thrown before it was up again.
        var failure: ServiceError?
    }

    /// A restart after a failure.
    struct Restart {
        let origin: Int
        let backoff: ServiceBackoff
        let delay: Duration
        /// The last one is the next, of both.
        var toStop: [Int]
        var toStart: [Int]
        var resumeAt: Duration?
        var hasWaited = false
    }

    var stage = Stage.fresh
    var start: StartOrder
    var stop: StopOrder?
    var nodes: [Node]
    /// The services whose code is being waited for.
    var inFlight: Set<Int> = []
    var exit: (reason: StopReason, error: ServiceError?)?
    /// Whether the owner is ready for the stop.
    var isUnwinding = false
    var wasUp = false
    /// Errors after the first cause, in order.
    var errors: [ServiceError] = []
    var haltedAt: Duration?
    var rounds: [Int] = []
    var budget = StopBudget(timeout: .zero, levels: 1)
    var stopBegan = Duration.zero
    var timer: (deadline: Duration, serial: Int, task: Task<Void, Never>)?
    var lastTimer = 0
    var restart: Restart?
    var restartQueue: [(node: Int, backoff: ServiceBackoff, scope: RestartScope, delay: Duration)] = []
    var scores: [Int: FailureScore] = [:]

    init(_ graph: ServiceGraph) {
        start = StartOrder(graph)
        nodes = Array(repeating: Node(), count: graph.count)
    }
}
