// Sleeping and calling later.

import PreforkSystem

/// A call that was arranged for later and can be called off.
public struct ScheduledCall: Sendable {
    fileprivate let loop: EventLoop
    fileprivate let id: TimerHeap<TimerAction>.ID

    /// Cancels the scheduled call. Has no effect if it has run. On the loop's thread only.
    public func cancel() {
        // The program's code decides which thread calls, not its input. Continuing would be a data race.
        precondition(loop.isCurrent, "a scheduled call is cancelled on its own event loop")
        loop.timers.remove(id)
    }
}

extension EventLoop {
    /// Calls `body` on the loop after `delay`. On the loop's thread only.
    ///
    /// - Parameter delay: zero or less means at the loop's next turn.
    @discardableResult
    public func call(after delay: Duration, _ body: @escaping () -> Void) -> ScheduledCall {
        // The program's code decides which thread calls, not its input. Continuing would be a data race.
        precondition(isCurrent, "calls are scheduled on the event loop's own thread")
        return ScheduledCall(loop: self, id: timers.insert(.call(body), at: .now + delay))
    }

    /// Suspends the calling task for `duration`, on the current loop, or on the shared one elsewhere.
    ///
    /// Zero or less gives the other tasks a turn.
    ///
    /// - Throws: `CancellationError` at once when the task is cancelled.
    public static func sleep(for duration: Duration) async throws {
        guard let loop = EventLoop.current else {
            return try await shared.run { loop in try await loop.sleepHere(for: duration) }
        }
        try await loop.sleepHere(for: duration)
    }

    private func sleepHere(for duration: Duration) async throws {
        // `sleep(for:)` has brought the task here, and a slot is resumed on its loop. Only an executor that runs a job
        // of this loop elsewhere fails either check.
        precondition(isCurrent, "a sleep belongs on its event loop's thread")
        try Task.checkCancellation()
        let slot = sleepers.popLast() ?? WaitSlot(loop: self)
        let timer = timers.insert(.resume(slot), at: .now + duration)
        let outcome = await slot.wait()
        precondition(isCurrent, "a sleep ends on its event loop's thread")
        timers.remove(timer)
        sleepers.append(slot)
        if outcome == .cancelled { throw CancellationError() }
    }
}
