// The duties of PID 1 in a container towards processes that are not its workers.

package import PreforkSystem

/// The duties of a supervisor to which orphans come: PID 1, or a subreaper. Nothing else collects them, and a container
/// without a collecting PID 1 fills with zombies (puma #3255).
package struct InitReaper: Sendable {
    /// What PID 1 does with a signal that the container's runtime sends.
    package enum Disposition: Hashable, Sendable {
        /// It has a meaning for the supervisor.
        case own
        /// It is for the workers: each of them gets it.
        case forward
        /// No process gets it.
        case ignore
    }

    /// Whether this process has these duties.
    package static var areNeeded: Bool { AdoptedOrphans.areAdopted }

    /// - Parameter signal: one that can be caught.
    ///
    /// As PID 1 a process gets no signal without a handler (pid_namespaces(7)): what is not listed here is gone.
    package static func disposition(of signal: Signal) -> Disposition {
        switch signal {
        case .terminate, .quit, .interrupt, .hangUp, .user1, .user2, .child, .moreWorkers, .fewerWorkers: .own
        case .resume, .urgent, .alarm: .forward
        default: signal.isRealTime ? .forward : .ignore
        }
    }

    /// Signals of `disposition` `.forward`, for the signal descriptor.
    package static var forwarded: [Signal] {
        [.resume, .urgent, .alarm] + Signal.realTime
    }

    /// Collects strangers that have ended. After each SIGCHLD, when the supervisor's own children are reaped.
    ///
    /// - Parameters:
    ///   - known: workers, and every other child that has a waiter.
    ///   - endsFamilies: those that a worker has started, and that the kernel has killed with it, take their process
    ///     groups along. Not where workers are of another user: a group may have set-user-ID programs in it, which such a
    ///     worker may not signal.
    /// - Returns: the strangers' process IDs, for the log at debug level: their exit codes are not reported. As
    ///   many as `mostStrangers`: there may be more.
    package static func reapStrangers(except known: Set<Int32>, endsFamilies: Bool = false) -> [Int32] {
        AdoptedOrphans.reap(except: known, endsFamilies: endsFamilies, atMost: mostStrangers)
    }

    /// Collected in one turn.
    package static let mostStrangers = 256

    /// At the end of PID 1, when the last worker is gone: asks what is left of the container to end, and collects it.
    ///
    /// The kernel kills what outlasts the limit when this process exits (pid_namespaces(7)). Processes that come to
    /// this one while it waits, because their parents ended, are asked to end, too.
    package static func endStrangers(except known: Set<Int32>, within limit: Duration) {
        let end = MonotonicInstant.now + limit
        var asked: Set<Int32> = []
        while true {
            // A collected process's number may already belong to another process, which was not asked.
            asked.subtract(reapStrangers(except: known))
            let present = AdoptedOrphans.children(except: known)
            if present.isEmpty { return }
            AdoptedOrphans.send(.terminate, except: known.union(asked))
            asked.formUnion(present)
            if MonotonicInstant.now >= end { return }
            // AdoptedOrphans have no pidfd to wait for.
            _ = try? Polling.waitUntilReadable([], until: .now + .milliseconds(20))
        }
    }
}
