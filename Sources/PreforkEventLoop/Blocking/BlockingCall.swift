// One closure on its way to a thread and back.

import PreforkSystem
import Synchronization

/// The task that waits for a closure. It is resumed once: by the result, by a cancellation before the closure has begun, or
/// because the process ends.
final class BlockingCall<Success: Sendable>: Sendable {
    private struct State {
        var continuation: CheckedContinuation<Success, any Error>?
        var ticket: UInt64?
        var isCancelled = false
    }

    private let pool: ThreadPool
    private let state = Mutex(State())

    init(on pool: ThreadPool) {
        self.pool = pool
    }

    /// Hands the closure to the pool. Called once.
    func begin(
        _ continuation: CheckedContinuation<Success, any Error>, _ body: @escaping @Sendable () throws -> Success
    ) {
        let isCancelled = state.withLock { state in
            state.continuation = continuation
            return state.isCancelled
        }
        if isCancelled { return end(.failure(CancellationError())) }
        // A process that was asked to end waits for it.
        let hand = WorkInHand()
        let job = ThreadPool.Job(
            run: { [self] in
                withExtendedLifetime(hand) { end(Result(catching: body)) }
            },
            abandon: { [self] in end(.failure(CancellationError())) })
        do throws(ThreadPool.Refusal) {
            let ticket = try pool.submit(job)
            let isLate = state.withLock { state in
                state.ticket = ticket
                return state.isCancelled
            }
            if isLate { withdraw(ticket) }
        } catch {
            end(.failure(BlockingError(error, limit: pool.queueLimit)))
        }
    }

    /// On any thread. A closure that runs continues, and its task waits for it.
    func cancel() {
        let ticket = state.withLock { state in
            state.isCancelled = true
            return state.ticket
        }
        if let ticket { withdraw(ticket) }
    }

    private func withdraw(_ ticket: UInt64) {
        if pool.withdraw(ticket) { end(.failure(CancellationError())) }
    }

    private func end(_ result: Result<Success, any Error>) {
        let continuation = state.withLock { state in
            defer { state.continuation = nil }
            return state.continuation
        }
        continuation?.resume(with: result)
    }
}

extension BlockingError {
    fileprivate init(_ refusal: ThreadPool.Refusal, limit: Int) {
        switch refusal {
        case .full: self.init(.queueFull(limit: limit))
        case .noThread(let error): self.init(.noThread, error)
        }
    }
}
