// Adding targets: bodies that block, and bodies on an event loop.

import PreforkChannels
import PreforkEventLoop
import PreforkStore
public import PreforkSupervisor
import PreforkSystem

extension ProcessManager {
    /// Adds a target whose body runs without an event loop: it may block. SIGTERM ends it, unless it handles that
    /// signal.
    ///
    /// The channels `{name}-active` and `{name}-passive` are made now: processes that are forked from now on, managed
    /// ones and workers, have them.
    ///
    /// - Parameters:
    ///   - carrying: the type of the channels' messages.
    ///   - body: runs in the child and returns its exit code. If it throws, the child ends with exit code 1 and a line
    ///     on standard error.
    /// - Throws: `.duplicate`, `.badName`, `.channels`, `.alreadyForked`, `.wrongOwner`, `.system`.
    public func addTarget<Message: Codable & Sendable>(
        _ name: String, carrying: Message.Type, _ options: TargetOptions = TargetOptions(),
        _ body: @escaping (borrowing ChildContext<Message>) throws -> Int32
    ) throws(ProcessError) {
        try add(name, carrying, options) { handle, channels in
            StoreRegistry.repairAll()
            channels.enterAndAttach()
            SignalMask.restore(handle.signalMask)
            if options.readiness == .automatic { handle.markReady() }
            do {
                let code = try body(ChildContext(handle: handle, channels: channels))
                ChannelSuccession.processEnds()
                return code
            } catch {
                reportFailure(of: handle.name, error)
                return 1
            }
        }
    }

    /// Adds a target whose body runs on its own event loop, as a worker's does. `ManagedChild.stopRequested` tells it
    /// when it must end. See the form without a loop for the rest.
    public func addTarget<Message: Codable & Sendable>(
        _ name: String, carrying: Message.Type, _ options: TargetOptions = TargetOptions(),
        _ body: @escaping @Sendable (ManagedChild<Message>) async throws -> Int32
    ) throws(ProcessError) {
        try add(name, carrying, options) { handle, channels in
            let main = LoopMain(
                name: handle.name, supervisorPipe: handle.supervisorPipe, signalMask: handle.signalMask,
                drainTimeout: handle.grace, executor: .wholeProcess,
                orderedStop: { handle.isSucceeded ? .worker : handle.isStopRequested ? .service : nil })
            main.run { loop in
                StoreRegistry.repairAll()
                channels.enterAndAttach()
                let child = ManagedChild(ChildContext(handle: handle, channels: channels), loop: loop)
                if options.readiness == .automatic { loop.onFirstWait = { child.ready() } }
                return { try await body(child) }
            }
        }
        try noteLoopTarget()
    }

    /// After the first target whose body runs on an event loop.
    func noteLoopTarget() throws(ProcessError) {
        if hasLoopTargets { return }
        hasLoopTargets = true
        LoopMain.warmUp()
        if !isBesidePool, let warning = LoopMain.executorWarning { try used().warn(warning) }
    }
}
