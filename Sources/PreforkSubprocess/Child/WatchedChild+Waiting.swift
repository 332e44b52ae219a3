// Waiting for a child's end, from any thread.

import PreforkEventLoop
import PreforkSystem
import Synchronization

extension WatchedChild {
    /// Calls `body` with the exit on the loop, once, also if the exit was long ago.
    func onExit(_ body: @escaping ExitState.Callback) {
        guard let exit = state.withLock({ $0.add(body) }) else { return }
        loop.execute { body(exit) }
    }

    /// Waits for the exit. Cancelling the calling task ends the wait and nothing else.
    func wait() async throws(CancellationError) -> Subprocess.Exit {
        if let exit { return exit }
        let id = state.withLock { $0.makeID() }
        let end = await withTaskCancellationHandler {
            await result(of: id, isForStop: false)
        } onCancel: {
            state.withLock { $0.abandon(id) }?.resume(returning: .abandoned)
        }
        guard case .exited(let exit) = end else { throw CancellationError() }
        return exit
    }

    /// Waits for the end of a stop, whatever becomes of the calling task.
    func waitForStop() async throws(StopError) -> Subprocess.Exit {
        let id = state.withLock { $0.makeID() }
        switch await result(of: id, isForStop: true) {
        case .exited(let exit): return exit
        case .unstoppable(let error): throw error
        // Only `wait` above abandons, and only the number that it made itself: no input, peer or kernel comes here.
        case .abandoned: preconditionFailure("wait \(id) for a stop was abandoned, which only cancellable waits are")
        }
    }

    private func result(of id: UInt64, isForStop: Bool) async -> ExitState.WaitResult {
        await withUnsafeContinuation { waiter in
            let result = state.withLock { state -> ExitState.WaitResult? in
                let result = state.add(waiter, id: id, isForStop: isForStop)
                // If the cancellation handler ran before this line, it found no waiter to abandon.
                guard result == nil, !isForStop, Task.isCancelled else { return result }
                _ = state.abandon(id)
                return .abandoned
            }
            if let result { waiter.resume(returning: result) }
        }
    }
}
