// The body of a scope, as seen by the code that stops the process.

import Synchronization

/// A body of `withRunning` from before its first line to its end.
final class ScopeBody: RunningScope {
    // Sendable: `cancel` is what `Task` has, too, and such calls may come from any task while this one lives. It lives:
    // the reference is made and forgotten (`end`) within one call that the task makes, and used under the lock only.
    private struct Holder: @unchecked Sendable {
        let task: UnsafeCurrentTask
    }

    private struct State {
        var holder: Holder?
        var unwatch: (@Sendable (Bool) -> Void)?
    }

    private let state = Mutex(State())
    private let lifecycles: [Lifecycle]

    /// In the task that runs the body.
    init(of tree: TreeRun) {
        lifecycles = tree.lifecycles
        guard let watcher = tree.host.scopeWatcher else { return }
        let holder = withUnsafeCurrentTask { $0 }.map(Holder.init)
        state.withLock { $0.holder = holder }
        let unwatch = watcher(self)
        state.withLock { $0.unwatch = unwatch }
    }

    var isWaitedFor: Bool { lifecycles.contains(where: \.isWaitedFor) }

    func cancel() {
        state.withLock { $0.holder?.task.cancel() }
    }

    /// The body has ended. In the same task.
    func end(thrown: Bool) {
        let unwatch = state.withLock { state in
            state.holder = nil
            defer { state.unwatch = nil }
            return state.unwatch
        }
        unwatch?(thrown)
    }
}
