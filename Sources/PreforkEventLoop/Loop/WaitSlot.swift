// One task that waits on a loop, and the ways its wait can end.

/// How a wait ended.
package enum WaitOutcome {
    /// What was waited for has happened.
    case ready
    /// The waiting task was cancelled.
    case cancelled
    /// The waited-for object was closed by this process.
    case closed
}

/// Room for one suspended task. The only suspension point of streams, timers and listeners.
///
/// A wait allocates nothing, ends at once when its task is cancelled on any thread, and leaves nothing behind.
package final class WaitSlot: @unchecked Sendable {
    // Sendable: `continuation` and `ticket` are touched on the loop's thread only, and `cancel` goes there first.
    private let loop: EventLoop
    private var continuation: UnsafeContinuation<WaitOutcome, Never>?
    /// Distinguishes the present wait from an earlier one, whose cancellation may still be on its way from another
    /// thread.
    private var ticket: UInt64 = 0

    package init(loop: EventLoop) {
        self.loop = loop
    }

    package var isWaiting: Bool { continuation != nil }

    /// Suspends the calling task, which must be on the loop, until `resume` or cancellation. One task at a time.
    package func wait() async -> WaitOutcome {
        await wait(owner: nil)
    }

    /// As `wait`.
    ///
    /// - Parameter owner: the task whose cancellation other code watches and turns into `resume(.cancelled)`. It needs
    ///   no cancellation handler for each wait, which would cost a tenth of a microsecond.
    func wait(owner: TaskOwnership?) async -> WaitOutcome {
        ticket &+= 1
        let ticket = ticket
        if let owner, owner.isCurrentTask {
            return await withUnsafeContinuation { continuation in
                if Task.isCancelled {
                    continuation.resume(returning: .cancelled)
                } else {
                    self.continuation = continuation
                }
            }
        }
        return await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                // The handler has found nothing to resume if the task was cancelled before this line.
                if Task.isCancelled {
                    continuation.resume(returning: .cancelled)
                } else {
                    self.continuation = continuation
                }
            }
        } onCancel: {
            self.cancel(ticket)
        }
    }

    /// The waiting itself, for a task whose cancellation other code watches (see `wait(owner:)`).
    ///
    /// - Parameter isCancelled: that code has seen it.
    @inline(__always)
    func park(_ continuation: UnsafeContinuation<WaitOutcome, Never>, isCancelled: Bool) {
        ticket &+= 1
        if isCancelled { continuation.resume(returning: .cancelled) } else { self.continuation = continuation }
    }

    /// Ends the wait. Has no effect if no task waits. On the loop's thread only.
    package func resume(_ outcome: WaitOutcome) {
        guard let continuation else { return }
        self.continuation = nil
        continuation.resume(returning: outcome)
    }

    /// Runs on any thread.
    private func cancel(_ ticket: UInt64) {
        loop.execute { if self.ticket == ticket { self.resume(.cancelled) } }
    }
}
