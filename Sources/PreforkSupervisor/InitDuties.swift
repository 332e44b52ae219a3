// What PID 1 of a container owes to processes that are not its workers.

package import PreforkSystem

/// The duties of a supervisor to which orphans come: PID 1, or a subreaper. Nothing else collects them, and a container
/// without a collecting PID 1 fills with zombies (puma #3255).
package struct InitDuties: Sendable {
    /// What PID 1 does with a signal that the container's runtime sends.
    package enum Disposition: Hashable, Sendable {
        /// It has a meaning for the supervisor.
        case own
        /// It is for the workers: each of them gets it.
        case forward
        /// Nobody gets it.
        case ignore
    }

    /// Whether this process has these duties.
    package static var areNeeded: Bool { Strangers.areAdopted }

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

    /// Those of `disposition` `.forward`, for the signal descriptor.
    package static var forwarded: [Signal] {
        [.resume, .urgent, .alarm] + Signal.realTime
    }

    /// Collects strangers that have ended. After each SIGCHLD, when the supervisor's own children are reaped.
    ///
    /// - Parameter known: workers, and every other child that somebody waits for.
    /// - Returns: the strangers' process IDs, for the log at debug level: what they returned is nobody's business.
    package static func reapStrangers(except known: Set<Int32>) -> [Int32] {
        Strangers.reap(except: known)
    }

    /// At the end, when the last worker is gone: asks what is left of the container to end.
    ///
    /// - Returns: how many processes were asked. They have until this process exits: the kernel then kills them.
    package static func askStrangersToEnd(except known: Set<Int32>) -> Int {
        Strangers.send(.terminate, except: known)
    }
}
