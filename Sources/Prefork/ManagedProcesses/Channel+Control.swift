// Orders for managed processes, by the channel that leads to them.

public import PreforkChannels
public import PreforkSupervisor
import Synchronization

/// The lines of this process's targets by the names of their active channels. A forked child inherits them.
enum ControlLines {
    private static let lines = Mutex<[String: (target: String, line: ManagedOrderLine)]>([:])

    static func add(_ line: ManagedOrderLine, for target: String) {
        lines.withLock { $0["\(target)-active"] = (target, line) }
    }

    static func remove(_ target: String) {
        lines.withLock { $0["\(target)-active"] = nil }
    }

    static subscript(channel: String) -> (target: String, line: ManagedOrderLine)? {
        lines.withLock { $0[channel] }
    }
}

extension Channel {
    /// Sends an order to the manager of the process whose `{name}-active` channel this is: from either end, and from
    /// any process that was forked after the target was added. It travels beside the messages, so that no message can
    /// be taken for it, and needs no living process: `.restart` starts a process that was stopped.
    ///
    /// Does not wait. The manager acts on it in its next turn. Sixteen codes of one worker or managed process may be on
    /// their way. If other processes than the manager's ask for restarts, a target gets eight at once, and after those
    /// one each second. Requests that come while one waits are merged with it.
    ///
    /// - Throws: `.unknown` if this is no managed process's active channel. `.controlQueueFull`. `.system` (EPIPE) if
    ///   the manager is gone, or its program was upgraded in place after it had forked this process.
    public func send(control code: ControlCode) throws(ProcessError) {
        guard let (target, line) = ControlLines[name] else { throw ProcessError(.unknown(name)) }
        try line.order(code, for: target)
    }
}
