// Those tasks of this process that wait for a message, or for room.

import PreforkEventLoop
import PreforkStore
import PreforkSystem
import Synchronization

/// Tasks of one process that wait for the same thing. Tasks on one loop are served in the order in which they came.
///
/// The bell is in the loop's epoll before any task sleeps, edge-triggered, and is never read: each write wakes every
/// loop that has it, of this and of other processes. The loop takes what is available on behalf of the first of its own
/// tasks, so that a cancelled wait has taken nothing: either the waiter is gone before the attempt, or it gets the
/// answer. No task depends on another loop, which may end at any time.
///
/// A loop with waiters checks again by itself after `Bell.longestSleep`: a process may have taken the ring away, or
/// died between its change and the ring.
final class WorkQueueLine<Wanted: Sendable, Answer: Sendable>: Sendable {
    /// Tries once. If nil, there is nothing now, and the bell will ring.
    private let attempt: @Sendable (Wanted) throws -> Answer?
    private let error: @Sendable (WorkQueueError.Code) -> WorkQueueError
    private let table: QueueTable
    private let bell: Int32
    /// Whether waits end when this process is asked to stop. Senders' waits do not: what they send may be part of the
    /// work in hand.
    private let endsAtStop: Bool
    private let state = Mutex(State())

    private struct Waiter {
        let id: UInt64
        let wanted: Wanted
        let continuation: UnsafeContinuation<Answer, any Error>
    }

    /// A loop's part of the line.
    private struct Place {
        let seat: WorkQueueSeat
        var waiters: [Waiter]
    }

    private struct State {
        var epoch = ForkCount.current
        var places: [Place] = []
        var lastID: UInt64 = 0
    }

    /// How many tasks wait. May be a moment old.
    var waiterCount: Int { state.withLock { $0.places.reduce(0) { $0 + $1.waiters.count } } }

    init(
        of table: QueueTable, bell: Int32, endsAtStop: Bool,
        error: @escaping @Sendable (WorkQueueError.Code) -> WorkQueueError,
        attempt: @escaping @Sendable (Wanted) throws -> Answer?
    ) {
        self.table = table
        self.bell = bell
        self.endsAtStop = endsAtStop
        self.error = error
        self.attempt = attempt
    }

    /// Suspends the calling task until the attempt succeeds or fails.
    ///
    /// - Parameter makeOwners: makes what the loop needs to learn of other processes' ends.
    func wait(
        for wanted: Wanted, timeout: Duration?,
        owners makeOwners: @escaping @Sendable (EventLoop) -> WorkQueueOwners?
    ) async throws -> Answer {
        let loop = try chosenLoop()
        let id = newID()
        return try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { continuation in
                let seat = sit(Waiter(id: id, wanted: wanted, continuation: continuation), on: loop)
                // The handler has found no waiter if the task was cancelled before this line.
                if Task.isCancelled { end(id, throwing: CancellationError()) }
                loop.execute { self.begin(id, timeout, on: seat, makeOwners) }
            }
        } onCancel: {
            self.end(id, throwing: CancellationError())
        }
    }

    private func chosenLoop() throws(WorkQueueError) -> EventLoop {
        do {
            return try EventLoop.chosen()
        } catch let failure {
            throw error(.system(failure))
        }
    }

    private func newID() -> UInt64 {
        state.withLock { state in
            // Tasks and loops of the parent do not exist here. Their epolls do, and stay untouched: they are shared.
            if state.epoch != ForkCount.current { state = State() }
            state.lastID += 1
            return state.lastID
        }
    }

    /// A loop keeps its seat while it waits again and again: a new one costs a descriptor for each other receiver. It
    /// loses the seat when another loop comes and none of its own tasks waits.
    private func sit(_ waiter: Waiter, on loop: EventLoop) -> WorkQueueSeat {
        let (seat, idle) = state.withLock { state -> (WorkQueueSeat, [WorkQueueSeat]) in
            if let index = state.places.firstIndex(where: { $0.seat.loop === loop }) {
                state.places[index].waiters.append(waiter)
                return (state.places[index].seat, [])
            }
            // Loops that are gone have taken their watches with them.
            state.places.removeAll { $0.seat.loop == nil && $0.waiters.isEmpty }
            let idle = state.places.filter(\.waiters.isEmpty).map(\.seat)
            let seat = WorkQueueSeat(loop: loop, table: table)
            state.places.append(Place(seat: seat, waiters: [waiter]))
            return (seat, idle)
        }
        for seat in idle { seat.loop?.execute { [weak self] in self?.leaveIfIdle(seat) } }
        return seat
    }

    /// Gives up a seat on its own loop's thread, so that the watches of the next one there come after it has left.
    private func leaveIfIdle(_ seat: WorkQueueSeat) {
        let isIdle = state.withLock { state in
            let index = state.places.firstIndex { $0.seat === seat && $0.waiters.isEmpty }
            if let index { state.places.remove(at: index) }
            return index != nil
        }
        if isIdle { seat.leave() }
    }

    /// On the loop's thread.
    private func begin(
        _ id: UInt64, _ timeout: Duration?, on seat: WorkQueueSeat, _ makeOwners: (EventLoop) -> WorkQueueOwners?
    ) {
        // Nothing is left behind for a waiter that was cancelled meanwhile.
        let isWaiting = state.withLock { state in
            state.places.contains { $0.seat === seat && $0.waiters.lastIndex { $0.id == id } != nil }
        }
        guard isWaiting else { return }
        do throws(SystemError) {
            try seat.listen(to: bell, makeOwners) { [weak self, weak seat] in
                if let self, let seat { serve(on: seat) }
            }
        } catch let failure {
            end(id, throwing: error(.system(failure)))
            return
        }
        if endsAtStop {
            seat.observeStop { [weak self, weak seat] in
                if let self, let seat { endAll(on: seat) }
            }
            // Those that came after the observer was called.
            if seat.loop?.isStopping == true { return endAll(on: seat) }
        }
        if let timeout {
            seat.timers[id] = seat.loop?.call(after: timeout) { [weak self] in
                guard let self else { return }
                end(id, throwing: error(.timedOut(after: timeout)))
            }
        }
        serve(on: seat)
    }

    /// Ends a wait from outside. No effect if it has ended. On any thread.
    private func end(_ id: UInt64, throwing error: any Error) {
        let found = state.withLock { state -> (Waiter, WorkQueueSeat)? in
            for place in state.places.indices {
                guard let index = state.places[place].waiters.firstIndex(where: { $0.id == id }) else { continue }
                return (state.places[place].waiters.remove(at: index), state.places[place].seat)
            }
            return nil
        }
        guard let (waiter, seat) = found else { return }
        seat.forgetTimer(id)
        waiter.continuation.resume(throwing: error)
    }

    /// Ends all waits on one loop because of a stop. On the loop's thread.
    private func endAll(on seat: WorkQueueSeat) {
        let waiters = state.withLock { state -> [Waiter] in
            guard let place = state.places.firstIndex(where: { $0.seat === seat }) else { return [] }
            defer { state.places[place].waiters = [] }
            return state.places[place].waiters
        }
        for waiter in waiters {
            seat.forgetTimer(waiter.id)
            waiter.continuation.resume(throwing: error(.stopping))
        }
    }

    /// Gives the waiters on this loop what is available. On the loop's thread.
    private func serve(on seat: WorkQueueSeat) {
        while true {
            let step: Step = state.withLock { state in
                guard let place = state.places.firstIndex(where: { $0.seat === seat }),
                    let first = state.places[place].waiters.first
                else { return .nobody }
                do {
                    guard let answer = try attempt(first.wanted) else { return .asleep }
                    state.places[place].waiters.removeFirst()
                    return .answer(first, .success(answer))
                } catch {
                    state.places[place].waiters.removeFirst()
                    return .answer(first, .failure(error))
                }
            }
            switch step {
            case .nobody: return
            case .asleep:
                if seat.owners?.updateWatches() == true { continue }
                seat.recheckLater { [weak self, weak seat] in
                    if let self, let seat { serve(on: seat) }
                }
                return
            case .answer(let waiter, let result):
                seat.forgetTimer(waiter.id)
                waiter.continuation.resume(with: result)
            }
        }
    }

    private enum Step {
        case nobody, asleep
        case answer(Waiter, Result<Answer, any Error>)
    }

    /// Leaves all loops. There must be no waiters.
    func leave() {
        let (seats, epoch) = state.withLock { ($0.places.map(\.seat), $0.epoch) }
        guard epoch == ForkCount.current else { return }
        for seat in seats { seat.loop?.execute { seat.leave() } }
    }
}

/// A line's place in a loop.
final class WorkQueueSeat: @unchecked Sendable {
    // Sendable: `loop` is set once and `table` constant, both safe anywhere. Everything else is touched on the loop's
    // thread only.
    /// Weak: one that has ended does not live on as long as the queue.
    private(set) weak var loop: EventLoop?
    fileprivate var timers: [UInt64: ScheduledCall] = [:]
    private(set) var owners: WorkQueueOwners?
    private var watch: Watch?
    private var nextLook: ScheduledCall?
    private var stop: StopObservation?
    /// Owns the bell, which must not be closed while the loop watches it.
    private let table: QueueTable

    init(loop: EventLoop, table: QueueTable) {
        self.loop = loop
        self.table = table
    }

    /// Has `serve` called whenever the bell rings or another process's end has brought something back.
    func listen(
        to bell: Int32, _ makeOwners: (EventLoop) -> WorkQueueOwners?, _ serve: @escaping () -> Void
    ) throws(SystemError) {
        guard watch == nil, let loop else { return }
        let watch = Watch(bell) { _ in serve() }
        try loop.add(watch, for: .readableOnce)
        self.watch = watch
        owners = makeOwners(loop)
        owners?.onReturn = serve
    }

    /// Has `end` called on the loop when waits there must end because of a stop. On the loop's thread.
    fileprivate func observeStop(_ end: @escaping @Sendable () -> Void) {
        guard stop?.isCurrent != true, let loop else { return }
        stop = loop.onStop { [weak loop] in loop?.execute(end) }
    }

    /// Has `serve` called after `Bell.longestSleep`. The call is not called off when the last waiter goes: one that
    /// waits again and again would pay for it each time.
    fileprivate func recheckLater(_ serve: @escaping () -> Void) {
        guard nextLook == nil else { return }
        nextLook = loop?.call(after: Bell.longestSleep) { [weak self] in
            self?.nextLook = nil
            serve()
        }
    }

    func leave() {
        if let watch { loop?.remove(watch) }
        watch = nil
        nextLook?.cancel()
        nextLook = nil
        owners?.cancel()
        owners = nil
        stop = nil
    }

    /// On any thread.
    func forgetTimer(_ id: UInt64) {
        loop?.execute { self.timers.removeValue(forKey: id)?.cancel() }
    }
}
