// The schedule of the service manager's watchdog (sd_watchdog_enabled(3)).

package import PreforkSystem

/// When WATCHDOG=1 is sent: at half of the time that the manager allows, by the supervisor's own loop, which proves
/// that the loop turns. It is sent only while enough workers are ready, because a service without workers is dead.
package struct NotifyWatchdog: Hashable, Sendable {
    /// Without a WATCHDOG=1 for so long the manager kills the service.
    package let timeout: Duration
    /// So many workers must be ready.
    package let minimumReady: Int
    /// When to call `isDue` again.
    package private(set) var nextLook: MonotonicInstant

    /// - Parameters:
    ///   - pid: this process, which the watchdog must be meant for (WATCHDOG_PID).
    ///   - now: the first look is due at once.
    /// - Returns: nil when the manager has no watchdog for this process.
    package init?(_ environment: NotifyEnvironment, pid: Int32, minimumReady: Int = 1, now: MonotonicInstant) {
        guard let text = environment.watchdogMicroseconds, let microseconds = Int64(text),
            microseconds >= Self.shortest
        else { return nil }
        if let owner = environment.watchdogPID, Int32(owner) != pid { return nil }
        timeout = .microseconds(microseconds)
        self.minimumReady = minimumReady
        nextLook = now
    }

    /// In microseconds. A shorter time would keep the supervisor busy with nothing else. systemd's own unit is the
    /// second.
    static let shortest: Int64 = 10_000

    /// What is wrong with a variable that is set. If nil, nothing is.
    static func complaint(_ environment: NotifyEnvironment) -> String? {
        guard let text = environment.watchdogMicroseconds else { return nil }
        if let microseconds = Int64(text), microseconds >= shortest { return nil }
        return "WATCHDOG_USEC=\(text) is no time that a watchdog can have (\(shortest) and more): there is none"
    }

    /// Whether WATCHDOG=1 must be sent now. If so, the next check follows after half of the timeout. Otherwise it
    /// follows after an eighth, so that the watchdog is fed soon after enough workers have come back.
    package mutating func isDue(readyWorkers: Int, at now: MonotonicInstant) -> Bool {
        guard now >= nextLook else { return false }
        let isHealthy = readyWorkers >= minimumReady
        nextLook = now + timeout / (isHealthy ? 2 : 8)
        return isHealthy
    }
}
