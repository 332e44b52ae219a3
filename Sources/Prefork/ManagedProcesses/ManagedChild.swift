// A managed process, as its body sees it.

public import PreforkChannels
public import PreforkEventLoop
public import PreforkSupervisor
import PreforkSystem

/// What the body of a managed process gets: its name and generation, and its channels to other processes.
///
/// Follows the arguments that liteyuki's ProcessManager passes to its targets.
public struct ChildContext<Message: Codable & Sendable>: ~Copyable, Sendable {
    let handle: TargetHandle
    private let channels: ChannelDeliver<Message>

    init(handle: TargetHandle, channels: ChannelDeliver<Message>) {
        self.handle = handle
        self.channels = channels
    }

    /// The target's name.
    public var name: String { handle.name }

    /// 1 for the target's first process, one more for each that follows.
    public var generation: Int { handle.generation }

    /// The channel `{name}-active`: this process receives by `receive` or `receiveBlocking`.
    public var active: Channel<Message> { channels.active }

    /// The channel `{name}-passive`: this process receives by `onReceive`.
    public var passive: Channel<Message> { channels.passive }

    /// Tells the manager that this process is ready. Needed with `.manual` readiness only. A second call has no effect.
    public func ready() { handle.markReady() }

    /// Whether the manager has asked this process to end. A body without an event loop ends by the SIGTERM that comes
    /// with it, unless it ignores or handles that signal.
    public var isStopRequested: Bool { handle.isStopRequested }

    /// Asks the manager to stop or restart this process: the same as `active.send(control:)`.
    ///
    /// - Throws: `.controlQueueFull`, `.system`.
    public func send(_ code: ControlCode) throws(ProcessError) {
        try handle.control.order(code, for: name)
    }
}

/// What the async body of a managed process is given. It may be kept, and used by tasks.
public final class ManagedChild<Message: Codable & Sendable>: Sendable {
    private let context: ChildContext<Message>
    /// This process's event loop.
    public let loop: EventLoop

    init(_ context: consuming ChildContext<Message>, loop: EventLoop) {
        self.context = context
        self.loop = loop
    }

    /// The target's name.
    public var name: String { context.name }

    /// 1 for the target's first process, one more for each that follows.
    public var generation: Int { context.generation }

    /// The channel `{name}-active`: this process receives by `receive`.
    public var active: Channel<Message> { context.active }

    /// The channel `{name}-passive`: this process receives by `onReceive`.
    public var passive: Channel<Message> { context.passive }

    /// Tells the manager that this process is ready. Needed with `.manual` readiness only. A second call has no effect.
    public func ready() { context.ready() }

    /// Becomes true when the manager asks this process to end. It is also a sequence of that one event. Shortly before
    /// the grace period is over (a tenth of it, at most a second) the body's task is cancelled.
    public var stopRequested: StopRequest { loop.stopRequest }

    /// Asks the manager to stop or restart this process: the same as `active.send(control:)`.
    ///
    /// - Throws: `.controlQueueFull`, `.system`.
    public func send(_ code: ControlCode) throws(ProcessError) { try context.send(code) }
}

extension ManagedOrderLine {
    func order(_ code: ControlCode, for name: String) throws(ProcessError) {
        do throws(SystemError) {
            try send(code)
        } catch {
            if error.errno == .wouldBlock { throw ProcessError(.controlQueueFull(name)) }
            throw ProcessError(error)
        }
    }
}
