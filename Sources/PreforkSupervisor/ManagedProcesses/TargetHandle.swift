// What a new managed process inherits from its supervisor.

package import PreforkSystem

/// A managed process's end of the supervision. All signals are blocked when it is handed out.
package struct TargetHandle: Sendable {
    package let name: String
    /// 1 for the target's first process.
    package let generation: Int
    /// Where it sends codes for itself.
    package let control: ManagedOrderLine
    /// Reads the end when the supervisor is gone. Never written to.
    package let supervisorPipe: Int32
    /// The signals that were blocked before supervision began.
    package let signalMask: SignalSet
    /// From SIGTERM to SIGKILL.
    package let grace: Duration
    /// The run that this process is, if its target is a once-task.
    package let run: OnceTicket?
    let scoreboard: Scoreboard
    let line: Int
    let spawn: UInt64
    /// What `Doorbell.ring` takes, to wake the supervisor. Negative where no descriptor was left for it.
    package let doorbell: Int32

    /// Tells the supervisor that this process is ready. A second call has no effect that it sees.
    package func markReady() {
        scoreboard.setReadySpawn(spawn, line: line)
        Doorbell.ring(doorbell)
    }

    /// Whether the supervisor has asked this process to end.
    package var isStopRequested: Bool { scoreboard.orders.isLeaving(line: line) }

    /// Whether another process of the target is ready in its place: this one need not end at once.
    package var isSucceeded: Bool { scoreboard.orders.order(line: line) == .succeeded }
}
