// Settings of a managed process, given when it is added.

/// What follows when a managed process crashes: it ended by a signal or with a non-zero exit code, unasked.
///
/// Exit code 0 is no crash: the target is done, and what depends on it may start.
public enum TargetFailureAction: Equatable, Sendable {
    /// It is reported, and that is all.
    case ignore
    /// It is started again, as `RestartPolicy` says: at once, then with growing, random delays. When the policy allows
    /// no further restart, the target is `.failed` and the others keep running.
    case restart(RestartPolicy)
    /// As `.restart`, except that when the policy allows no further restart, everything ends as with `.crashTree`.
    case restartThenCrashTree(RestartPolicy)
    /// Everything that the manager runs is stopped gracefully, and beside a worker pool the pool, too. Exit code 70.
    case crashTree

    package var policy: RestartPolicy? {
        switch self {
        case .restart(let policy), .restartThenCrashTree(let policy): policy
        case .ignore, .crashTree: nil
        }
    }

    var crashesTree: Bool {
        switch self {
        case .crashTree, .restartThenCrashTree: true
        case .ignore, .restart: false
        }
    }
}

/// When a managed process counts as ready, so that those that depend on it start.
public enum TargetReadiness: Hashable, Sendable {
    /// When its body begins, or an async body first waits.
    case automatic
    /// When its body calls `ready()`.
    case manual
}

/// Which process comes first when the program is upgraded in place and a managed process of it is replaced.
public enum TargetSuccession: Hashable, Sendable {
    /// The old process ends before the new program's process is forked: there are never two at once.
    case stopFirst
    /// The new program's process is forked beside the old one, which is asked to end when the new one is ready. Both
    /// of them live meanwhile. The ends of channels that the old one has go to the new one at a message boundary.
    case newFirst
}

/// A target as the supervisor knows it.
package struct TargetSettings: Equatable, Sendable {
    package var name: String
    /// Names of targets that must be ready, or have ended with exit code 0, before this one is started.
    package var dependencies: [String] = []
    package var onFailure = TargetFailureAction.ignore
    /// How long it may take to become ready before it is killed, which is a crash. If nil, there is no limit.
    package var startTimeout: Duration?
    package var privileges = TargetPrivileges.workers
    /// From SIGTERM to SIGKILL.
    package var grace: Duration = .seconds(10)
    /// At an upgrade.
    package var succession = TargetSuccession.stopFirst
    /// It is started by `OnceTable` alone, and the next image of the program lets its process run to its end.
    var isOnceTask = false

    package init(name: String) {
        self.name = name
    }
}
