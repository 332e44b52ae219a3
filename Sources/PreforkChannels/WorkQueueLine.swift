// Those tasks of this process that wait for a message, or for room.

import PreforkEventLoop
import PreforkStore
import PreforkSystem
import Synchronization

/// Tasks of one process that wait for the same thing, first come first served.
///
/// The bell is in the loop's epoll before anybody sleeps, edge-triggered, and is never read: each write wakes every
/// process that has it. What there is to be had is taken by the loop on behalf of the first in the line, so that a
/// cancelled wait has taken nothing: either the waiter is gone before the attempt, or it gets the answer.
final class WorkQueueLine<Wanted: Sendable, Answer: Sendable>: Sendable {
    /// Tries once. nil: not now, and the bell will ring.
    private let attempt: @Sendable (Wanted) throws -> Answer?
    private let error: @Sendable (WorkQueueError.Code) -> WorkQueueError
    private let table: QueueTable
    private let bell: Int32
    private let state = Mutex(State())

    private struct Waiter {
        let id: UInt64
        let wanted: Wanted
        let continuation: UnsafeContinuation<Answer, any Error>
        let seat: WorkQueueSeat
    }

    private struct State {
        var epoch = ForkCount.current
        var seat: WorkQueueSeat?
        var waiters: [Waiter] = []
        var lastID: UInt64 = 0
    }

    init(
        of table: QueueTable, bell: Int32, error: @escaping @Sendable (WorkQueueError.Code) -> WorkQueueError,
        attempt: @escaping @Sendable (Wanted) throws -> Answer?
    ) {
        self.table = table
        self.bell = bell
        self.error = error
        self.attempt = attempt
    }

    /// Suspends the calling task until the attempt succeeds or fails.
    ///
    /// - Parameter makeOwners: makes what the loop needs to hear of other processes' ends.
    func wait(
        for wanted: Wanted, timeout: Duration?,
        owners makeOwners: @escaping @Sendable (EventLoop) -> WorkQueueOwners?
    ) async throws -> Answer {
        let (seat, id) = sit(on: try chosenLoop())
        return try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { continuation in
                // The handler has found nobody if the task was cancelled before this line.
                if Task.isCancelled {
                    continuation.resume(throwing: CancellationError())
                    return
                }
                let waiter = Waiter(id: id, wanted: wanted, continuation: continuation, seat: seat)
                state.withLock { $0.waiters.append(waiter) }
                seat.loop.execute { self.begin(id, timeout, on: seat, makeOwners) }
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

    /// The loop that waits for this process: that of the last one who came to an empty line.
    private func sit(on loop: EventLoop) -> (WorkQueueSeat, id: UInt64) {
        let (seat, id, old) = state.withLock { state -> (WorkQueueSeat, UInt64, WorkQueueSeat?) in
            if state.epoch != ForkCount.current {
                // Tasks and loop of the parent do not exist here. Its epoll does, and stays untouched: it is shared.
                state = State()
            }
            state.lastID += 1
            if let seat = state.seat, seat.loop === loop || !state.waiters.isEmpty { return (seat, state.lastID, nil) }
            let old = state.seat
            let seat = WorkQueueSeat(loop: loop, table: table)
            state.seat = seat
            return (seat, state.lastID, old)
        }
        if let old { old.loop.execute { old.leave() } }
        return (seat, id)
    }

    /// On the loop's thread.
    private func begin(
        _ id: UInt64, _ timeout: Duration?, on seat: WorkQueueSeat, _ makeOwners: (EventLoop) -> WorkQueueOwners?
    ) {
        do throws(SystemError) {
            try seat.listen(to: bell, makeOwners) { [weak self, weak seat] in
                if let self, let seat { serve(on: seat) }
            }
        } catch let failure {
            end(id, throwing: error(.system(failure)))
            return
        }
        if let timeout {
            seat.timers[id] = seat.loop.call(after: timeout) { [weak self] in
                guard let self else { return }
                end(id, throwing: error(.timedOut(after: timeout)))
            }
        }
        serve(on: seat)
    }

    /// Ends a wait from outside; no effect when it has ended. On any thread.
    private func end(_ id: UInt64, throwing error: any Error) {
        let waiter = state.withLock { state in
            state.waiters.firstIndex { $0.id == id }.map { state.waiters.remove(at: $0) }
        }
        guard let waiter else { return }
        waiter.seat.forgetTimer(id)
        waiter.continuation.resume(throwing: error)
    }

    /// Gives the waiting what there is. On the loop's thread.
    private func serve(on seat: WorkQueueSeat) {
        while true {
            let step: Step = state.withLock { state in
                guard let first = state.waiters.first else { return .nobody }
                do {
                    guard let answer = try attempt(first.wanted) else { return .asleep }
                    state.waiters.removeFirst()
                    return .answer(first, .success(answer))
                } catch {
                    state.waiters.removeFirst()
                    return .answer(first, .failure(error))
                }
            }
            switch step {
            case .nobody: return
            case .asleep: if seat.owners?.look() != true { return }
            case .answer(let waiter, let result):
                waiter.seat.forgetTimer(waiter.id)
                waiter.continuation.resume(with: result)
            }
        }
    }

    private enum Step {
        case nobody, asleep
        case answer(Waiter, Result<Answer, any Error>)
    }

    /// Leaves the loop. Nobody may be waiting.
    func leave() {
        let (seat, epoch) = state.withLock { ($0.seat, $0.epoch) }
        if let seat, epoch == ForkCount.current { seat.loop.execute { seat.leave() } }
    }
}

/// A line's place in a loop.
final class WorkQueueSeat: @unchecked Sendable {
    // Sendable: `loop` and `table` are constant and safe anywhere; everything else is touched on its thread only.
    let loop: EventLoop
    fileprivate var timers: [UInt64: ScheduledCall] = [:]
    private(set) var owners: WorkQueueOwners?
    private var watch: Watch?
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
        guard watch == nil else { return }
        let watch = Watch(bell) { _ in serve() }
        try loop.add(watch, for: .readableOnce)
        self.watch = watch
        owners = makeOwners(loop)
        owners?.onReturn = serve
    }

    func leave() {
        if let watch { loop.remove(watch) }
        watch = nil
        owners?.cancel()
        owners = nil
    }

    /// On any thread.
    func forgetTimer(_ id: UInt64) {
        loop.execute { self.timers.removeValue(forKey: id)?.cancel() }
    }
}
