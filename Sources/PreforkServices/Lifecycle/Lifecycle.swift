// The state of one service.

import Synchronization

/// The state of one service: whether it runs, its holders, its background tasks and its waiters.
///
/// Each service has one as a stored property. After a fork, a child must use new services.
public final class Lifecycle: Sendable {
    enum Phase: Sendable {
        case idle, starting, running, stopping
    }

    /// A tree that this service is part of, from the begin of the tree's start to the end of its stop.
    struct Seat {
        let run: TreeRun
        let node: Int
        /// Whether the tree needs it to run, now.
        var holds = false
        /// How the tree must end, once that is known.
        var end: WaitEnd?
    }

    struct State {
        var phase = Phase.idle
        /// The owner, so that two services which share a lifecycle are found out.
        var owner: ObjectIdentifier?
        var seats: [Seat] = []
        /// Trees that are informed when it has finished starting or stopping.
        var watchers: [(run: TreeRun, node: Int)] = []
        /// The tree that is starting it: a task that fails meanwhile is a failure of that start.
        var starter: TreeRun?
        /// The tree that is stopping it, which is informed of tasks that fail meanwhile.
        var stopper: (run: TreeRun, node: Int)?
        var startedWith: [[any AsyncService]]?
        var pendingStop: StopReason?
        var lastReason: StopReason?
        var tasks = BackgroundTasks()
        var isAnnounced = false
        var waiters = ServiceWaiters()
        var counters = ServiceCounters()
        var listeners: [Int: AsyncStream<ServiceEvent>.Continuation] = [:]
        var nextListener = 0
    }

    let givenName: String?
    let state = Mutex(State())

    /// - Parameter name: unique in its tree. If nil, the name of the service's type and a number.
    public init(_ name: String? = nil) { givenName = name }

    var isRunning: Bool { state.withLock { $0.phase == .running } }
    var isAnnounced: Bool { state.withLock { $0.isAnnounced } }
    var startedWith: [[any AsyncService]]? { state.withLock { $0.startedWith } }

    /// How many trees it is part of just now.
    package var trees: Int { state.withLock { $0.seats.count } }

    /// What has happened to the service so far.
    public var counters: ServiceCounters { state.withLock { $0.counters } }
}

// What a tree does with it. Each step is taken under the lock, and others are informed after it.
extension Lifecycle {
    enum Joining {
        case joined
        /// A stop was requested before.
        case refused(StopReason)
        case taken
    }

    func join(_ run: TreeRun, _ node: Int, owner: ObjectIdentifier) -> Joining {
        state.withLock { state in
            // Of another service, or twice in one tree: a lifecycle is of one service alone.
            if state.owner != owner, !state.seats.isEmpty { return .taken }
            if let reason = state.pendingStop {
                state.pendingStop = nil
                return .refused(reason)
            }
            state.owner = owner
            state.seats.append(Seat(run: run, node: node))
            return .joined
        }
    }

    enum Acquisition {
        /// The tree must start it.
        case mine
        case running
        /// It is being started or stopped. The tree will be informed when that is over.
        case busy
    }

    func acquire(_ run: TreeRun, _ node: Int, with groups: @autoclosure () -> [[any AsyncService]]) -> Acquisition {
        state.withLock { state in
            switch state.phase {
            case .running:
                state.hold(run, true)
                return .running
            case .starting, .stopping:
                state.watchers.append((run, node))
                return .busy
            case .idle:
                state.hold(run, true)
                state.phase = .starting
                state.starter = run
                state.isAnnounced = false
                state.startedWith = groups()
                state.tasks.reopen()
                return .mine
            }
        }
    }

    /// The tree will not wait for it any longer.
    func unwatch(_ run: TreeRun) {
        state.withLock { $0.watchers.removeAll { $0.run === run } }
    }

    func didStart() {
        settle { state in
            state.phase = .running
            state.starter = nil
            state.counters.starts += 1
            return state.waiters.takeReady()
        }
    }

    /// Its start has failed or was completed too late, or one of its tasks has failed before.
    func beginEnding(by run: TreeRun, _ node: Int) {
        state.withLock { state in
            state.phase = .stopping
            state.starter = nil
            state.stopper = (run, node)
        }
    }

    /// Begins to stop it in order to start it again, whichever other trees hold it.
    ///
    /// - Returns: false when another tree is doing that.
    func beginRestarting(by run: TreeRun, _ node: Int) -> Bool {
        state.withLock { state in
            guard state.phase == .running else { return false }
            state.phase = .stopping
            state.stopper = (run, node)
            return true
        }
    }

    /// - Returns: whether the tree was the last holder, which then must stop it.
    func release(_ run: TreeRun, _ node: Int) -> Bool {
        state.withLock { state in
            state.hold(run, false)
            if state.phase != .running || state.seats.contains(where: \.holds) { return false }
            state.phase = .stopping
            state.stopper = (run, node)
            return true
        }
    }

    /// It is down, and any tree may start it. The tree that stopped it does not need it any longer, even if it had not
    /// yet released it.
    func becomeIdle(for run: TreeRun) {
        settle { state in
            state.hold(run, false)
            state.phase = .idle
            state.stopper = nil
            state.startedWith = nil
            return state.waiters.takeReady()
        }
    }

    /// It is down, and the tree that held it starts it again.
    func beginStartingAgain(by run: TreeRun) {
        state.withLock { state in
            state.phase = .starting
            state.starter = run
            state.stopper = nil
            state.isAnnounced = false
            state.counters.restarts += 1
            state.tasks.reopen()
        }
    }

    func sharers(beside run: TreeRun) -> [TreeRun] {
        state.withLock { state in state.seats.filter { $0.holds && $0.run !== run }.map(\.run) }
    }

    /// Whether another tree is starting it.
    func isStarting(beside run: TreeRun) -> Bool {
        state.withLock { $0.starter.map { $0 !== run } ?? false }
    }

    func countStop() {
        state.withLock { $0.counters.stops += 1 }
    }

    func countFailure() {
        state.withLock { $0.counters.failures += 1 }
    }

    private func settle(_ body: (inout State) -> [ServiceWaiters.Resumption]) {
        let (watchers, resumptions) = state.withLock { state in
            let resumptions = body(&state)
            defer { state.watchers = [] }
            return (state.watchers, resumptions)
        }
        for watcher in watchers { watcher.run.post(.retry(watcher.node)) }
        for resumption in resumptions { resumption() }
    }
}

extension Lifecycle.State {
    mutating func hold(_ run: TreeRun, _ holds: Bool) {
        guard let index = seats.firstIndex(where: { $0.run === run }) else { return }
        seats[index].holds = holds
    }

    /// Its path in the tree that it is part of, or nil if it is in no tree.
    var path: String? { seats.first.map { $0.run.path($0.node) } }

    var holders: [(run: TreeRun, node: Int)] { seats.filter(\.holds).map { ($0.run, $0.node) } }
}
