// Programs that end with the worker or managed process that has started them.

import PreforkSystem
import Synchronization

/// The running subprocesses of a worker or managed process: all except those with `Command.Group.detached`.
///
/// The kernel ends each with its parent (PR_SET_PDEATHSIG), whatever the parent dies of. Processes that these have
/// started are in their process groups, to which no such signal goes. So a process that ends by itself ends the groups.
enum FamilyChildren {
    private struct State {
        var process: UInt64 = 0
        var children: [Int32: WatchedChild] = [:]
    }

    private static let state = Mutex(State())

    /// - Returns: whether `command` is for this family, and its start for the thread that lives as long as the process.
    static func includes(_ command: Command) -> Bool { Family.isMember && command.group != .detached }

    static func add(_ child: WatchedChild) {
        let isFirst = state.withLock { state in
            let isFirst = state.process != ForkCount.current
            if isFirst { state = State(process: ForkCount.current) }
            state.children[child.child.pid] = child
            return isFirst
        }
        if isFirst { Family.atEnd(endAll) }
    }

    static func remove(_ child: WatchedChild) {
        state.withLock { state in
            // Its number can belong to a younger one by now.
            if state.children[child.child.pid] === child { state.children[child.child.pid] = nil }
        }
    }

    /// The last action of this process, so it does not wait for their reaction to SIGTERM.
    private static func endAll() {
        let children = state.withLockIfAvailable { $0.children } ?? [:]
        for child in children.values { try? child.send(.kill, to: .group) }
    }
}
