// One start and stop of a tree.

import Synchronization

/// A tree of services from the begin of its start to the end of its stop.
///
/// Everything that happens to it is a step. Steps are taken one at a time, by a thread that brings one while no other
/// thread is taking steps. No thread waits for another, and the only tasks are those in which the services' code runs.
/// What to do is decided by values (`StartOrder`, `StopOrder`, `StopBudget`, `FailureScore`, `RestartSet`).
final class TreeRun: Sendable {
    enum Step {
        case begin
        /// A service that was busy in another tree is not any more.
        case retry(Int)
        case startEnded(Int, (any Error)?)
        case announced(Int)
        case taskFailed(Int, TaskFailure)
        case exit(StopReason, ServiceError?)
        /// The owner is ready for the stop.
        case unwind
        case stopEnded(Int, (any Error)?)
        case drained(Int)
        case timer(Int)
    }

    /// What callers wait for.
    struct Milestones: OptionSet {
        let rawValue: UInt8

        static let up = Milestones(rawValue: 1)
        static let exiting = Milestones(rawValue: 2)
        static let over = Milestones(rawValue: 4)
    }

    private struct Inbox {
        var steps: [Step] = []
        var isTaken = false
        var milestones: Milestones = []
        var waiters: [(wanted: Milestones, waiter: UnsafeContinuation<Milestones, Never>)] = []
        var end: TreeEnd?
        /// For a scope: ends the observation of stop requests.
        var endObservation: (@Sendable () -> Void)?
    }

    let host: ServiceHost
    let graph: ServiceGraph
    let services: [any AsyncService]
    let lifecycles: [Lifecycle]
    private let context: ServiceContext
    /// Receives the tree's progress.
    let watcher: (@Sendable (TreeMoment) -> Void)?
    private let inbox = Mutex(Inbox())
    // Proof: only touched in `take`, by the thread that has set `isTaken`. The inbox's lock hands it to the next one.
    nonisolated(unsafe) var state: TreeState

    /// - Throws: `ServiceError` of kind `cycle` or `duplicateName`.
    init(_ root: any AsyncService) throws(ServiceError) {
        (graph, services) = try GraphTracing.trace(root, .async)
        let lifecycles = services.map(\.lifecycle)
        var context = ServiceContext.current
        host = ServiceHost.current
        context.host = host
        watcher = context.owners.isEmpty ? host.watcher : nil
        self.context = context
        self.lifecycles = lifecycles
        state = TreeState(graph)
        for owner in context.owners {
            // It would wait for its own end, because the owner is only stopped when this tree releases it.
            guard let node = lifecycles.firstIndex(where: { $0 === owner }) else { continue }
            let way = [graph.names[node]] + path(node).split(separator: "/").map(String.init)
            throw ServiceError(.cycle(way), service: path(node))
        }
    }

    func path(_ node: Int) -> String { graph.path(node) }

    // Bringing and taking steps.

    func post(_ step: Step) {
        let isMine = inbox.withLock { inbox in
            inbox.steps.append(step)
            defer { inbox.isTaken = true }
            return !inbox.isTaken
        }
        guard isMine else { return }
        while let steps = nextSteps() {
            for step in steps { take(step) }
        }
    }

    private func nextSteps() -> [Step]? {
        inbox.withLock { inbox in
            if inbox.steps.isEmpty {
                inbox.isTaken = false
                return nil
            }
            defer { inbox.steps.removeAll() }
            return inbox.steps
        }
    }

    private func take(_ step: Step) {
        switch step {
        case .begin: begin()
        case .retry(let node): retry(node)
        case .startEnded(let node, let error): startEnded(node, error)
        case .announced(let node): announced(node)
        case .taskFailed(let node, let failure): taskFailed(node, failure)
        case .exit(let reason, let error): exit(reason, error)
        case .unwind: unwind()
        case .stopEnded(let node, let error): stopEnded(node, error)
        case .drained(let node): drained(node)
        case .timer(let serial): timerFired(serial)
        }
    }

    // Milestones.

    func reach(_ milestone: Milestones, _ end: TreeEnd? = nil) {
        let waiters = inbox.withLock { inbox in
            inbox.milestones.insert(milestone)
            if let end { inbox.end = end }
            let reached = inbox.milestones
            defer { inbox.waiters.removeAll { !$0.wanted.isDisjoint(with: reached) } }
            return inbox.waiters.filter { !$0.wanted.isDisjoint(with: reached) }.map { ($0.waiter, reached) }
        }
        for (waiter, reached) in waiters { waiter.resume(returning: reached) }
    }

    /// Waits for one of `wanted`. Not cancellable: a cancelled caller asks the tree to end, and waits for that.
    @discardableResult
    private func wait(for wanted: Milestones) async -> Milestones {
        await withUnsafeContinuation { waiter in
            let reached = inbox.withLock { inbox -> Milestones? in
                if !wanted.isDisjoint(with: inbox.milestones) { return inbox.milestones }
                inbox.waiters.append((wanted, waiter))
                return nil
            }
            if let reached { waiter.resume(returning: reached) }
        }
    }

    private var end: TreeEnd { inbox.withLock { $0.end } ?? TreeEnd(reason: .requested) }

    // What the owner does. Stops are started from here, so that they inherit the owner's task-local values.

    func runToEnd() async throws(ServiceError) -> StopReason {
        let endObservation = host.stopSource?.observe { [self] reason in post(.exit(reason, nil)) }
        await withTaskCancellationHandler {
            post(.begin)
            await wait(for: [.exiting, .over])
            post(.unwind)
            await wait(for: .over)
        } onCancel: {
            post(.exit(.requested, ServiceError(.cancelled, service: path(0))))
        }
        endObservation?()
        if let error = end.error { throw error }
        return end.reason
    }

    /// The start of a scope. Stop requests are observed from here to the end of `stop`.
    func start() async throws(ServiceError) {
        let early = observeStops()
        let isUp = await withTaskCancellationHandler {
            post(.begin)
            if await wait(for: [.up, .exiting, .over]).contains(.up) { return true }
            post(.unwind)
            await wait(for: .over)
            return false
        } onCancel: {
            post(.exit(.requested, ServiceError(.cancelled, service: path(0))))
        }
        guard isUp else {
            endObservation()
            throw end.error ?? ServiceError(.cancelled, service: path(0))
        }
        if let early { post(.exit(early, nil)) }
    }

    /// A stop request that comes meanwhile shortens the stop.
    func stop() async -> TreeEnd {
        post(.unwind)
        await wait(for: .over)
        endObservation()
        return end
    }

    /// - Returns: an earlier stop request. Such a scope is part of what the process finishes before it ends: it starts,
    ///   and receives the request when it is up.
    private func observeStops() -> StopReason? {
        let keeper = EarlyWish()
        let end = host.stopSource?.observe { [self] reason in
            if !keeper.take(reason) { post(.exit(reason, nil)) }
        }
        inbox.withLock { $0.endObservation = end }
        return keeper.close()
    }

    private func endObservation() {
        inbox.withLock { inbox in
            defer { inbox.endObservation = nil }
            return inbox.endObservation
        }?()
    }

    // The services' own code.

    func callService<Success: Sendable>(
        _ lifecycle: Lifecycle, _ body: @Sendable () async throws -> Success
    ) async throws -> Success {
        var context = context
        context.owners.append(lifecycle)
        return try await ServiceContext.$current.withValue(context) { try await body() }
    }

    func emit(
        _ kind: ServiceEvent.Kind, _ node: Int, duration: Duration? = nil, error: ServiceError? = nil
    ) {
        let listeners = lifecycles[0].listeners + (node == 0 ? [] : lifecycles[node].listeners)
        guard !listeners.isEmpty else { return }
        let event = ServiceEvent(
            kind, name: graph.names[node], service: path(node), at: host.clock.now, duration: duration, error: error)
        for listener in listeners { listener.yield(event) }
    }
}

/// Keeps a stop request that comes while its observation is made.
private final class EarlyWish: Sendable {
    private let state = Mutex<(isOpen: Bool, reason: StopReason?)>((true, nil))

    /// - Returns: false if the observation has been made, and the request must be handled now.
    func take(_ reason: StopReason) -> Bool {
        state.withLock { state in
            if state.isOpen { state.reason = state.reason ?? reason }
            return state.isOpen
        }
    }

    func close() -> StopReason? {
        state.withLock { state in
            state.isOpen = false
            return state.reason
        }
    }
}
