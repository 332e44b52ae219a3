// Workers that are alive and do nothing.

import PreforkSystem

/// When a ready worker counts as hung.
///
/// Its event loop gives a heartbeat at least every third of `soft`, by one store into shared memory. A worker that
/// gives no heartbeat for `soft` (a handler that blocks or never ends, a deadlock, a SIGSTOP) is reported with a dump
/// of its stack, and killed after `grace` more. No worker is killed because the whole machine, or the supervisor, stood
/// still.
public struct HangPolicy: Equatable, Sendable {
    /// The silence after which a worker is reported as hung.
    public var soft: Duration
    /// The time from that report to SIGKILL.
    public var grace: Duration

    /// - Parameters:
    ///   - soft: above zero. A value below 60 ms counts as 60 ms.
    ///   - grace: from the report to SIGKILL.
    public init(soft: Duration = .seconds(30), grace: Duration = .seconds(2)) {
        self.soft = max(soft, .milliseconds(60))
        self.grace = max(grace, .milliseconds(1))
    }
}
