// Named functions in separate processes, each with two channels.

import PreforkChannels
import PreforkEventLoop
public import PreforkSupervisor
public import PreforkSystem

/// Runs named targets in child processes, watches them, and stops or restarts them on request.
///
/// ```swift
/// let manager = ProcessManager()
/// try manager.addTarget("nonebot") { child in
///     while true { print(try child.active.receiveBlocking()) }
/// }
/// try manager.run()          // or: runtime.manager.addTarget(...), beside the workers of a `ForkRuntime`
/// ```
///
/// It belongs to the thread that made it and starts no thread: everything happens in its calls. The calls that wait
/// (`start`, `run`, `terminate`, `terminateAll`, `joinAll`, `startAll(waitingForReadiness:)`) supervise all targets
/// meanwhile. Between them the program must call `turn`. Beside a worker pool, the pool's supervisor calls it. In a
/// forked child, and on another thread, every operation throws `.wrongOwner`.
///
/// Managed processes are forked as workers are: one thread, default signal actions, ended with their manager
/// (PR_SET_PDEATHSIG), only the descriptors that <doc:DescriptorsAndRights> names, and the workers'
/// rights: `PREFORK_USER` and its like hold for both. They have no task ID, and may fork workers or have managers
/// themselves. When the manager goes away, targets that still live are killed.
///
/// Follows liteyuki.core.manager's ProcessManager.
public final class ProcessManager {
    private let owner = (process: ForkCount.current, thread: currentThreadNumber)
    private let grace: Duration
    private var targets: TargetRunner?
    private var storedHooks: ProcessHooks
    /// What holds the channels: their registry does not.
    private var channels: [String: any Sendable] = [:]
    /// Whether a body on an event loop was ever added.
    var hasLoopTargets = false
    /// Once-tasks that run in workers, in the order in which they were added.
    var tasksInWorkers: [WorkerTask] = []
    /// It belongs to a `ForkRuntime`, and continues with the managed processes of the previous program.
    let isBesidePool: Bool
    private let log: (@Sendable (LogLine) -> Void)?
    /// What managed processes give up. Beside a worker pool, the pool's settings decide it.
    private var privileges: Privileges

    private var storedSandbox: Sandbox?

    /// - Parameters:
    ///   - grace: from SIGTERM to SIGKILL, where a target does not say otherwise. Zero and less: killed at once.
    ///   - privileges: what managed processes give up after the fork, unless their options say `.supervisor`. The
    ///     environment wins, as for workers: `PREFORK_USER`, `_GROUP`, `_GROUPS`, `_UMASK`, `_CHROOT`,
    ///     `_NO_NEW_PRIVILEGES`, `_DUMPABLE`, `_KEEP_SERVICE_VARIABLES`. The manager of a `ForkRuntime` has the
    ///     privileges of the runtime's settings.
    ///   - log: takes the log, line by line. If nil, it goes to standard error.
    public init(
        hooks: ProcessHooks = ProcessHooks(), grace: Duration = .seconds(10), privileges: Privileges = Privileges(),
        log: (@Sendable (LogLine) -> Void)? = nil
    ) {
        storedHooks = hooks
        self.grace = grace
        self.privileges = privileges
        self.log = log
        isBesidePool = false
    }

    /// The manager of a `ForkRuntime`.
    init(isBesidePool: Bool) {
        storedHooks = ProcessHooks()
        grace = .seconds(10)
        privileges = Privileges()
        log = nil
        self.isBesidePool = isBesidePool
    }

    deinit {
        // A child's copy leaves everything as it is: the lines are the child's own by now.
        guard let targets, targets.isOwned else { return }
        for name in channels.keys { ControlLines.remove(name) }
        targets.stopAll(within: .zero)
        while targets.isBusy, (try? targets.turn(waitingAtMost: nil)) != nil {}
        targets.finishLog()
    }

    /// Where a target has no grace period of its own.
    var standardGrace: Duration { grace }

    private var isOwner: Bool { owner == (ForkCount.current, currentThreadNumber) }

    /// Called from the next event on. On any other thread than the manager's, this is empty, and changing it has no
    /// effect.
    public var hooks: ProcessHooks {
        get { isOwner ? storedHooks : ProcessHooks() }
        set {
            guard isOwner else { return }
            storedHooks = newValue
            targets?.hooks = newValue
        }
    }

    /// What managed processes may still do after they have given up rights, unless their options say `.supervisor`. The
    /// environment wins (`PREFORK_SANDBOX`). Processes that run keep theirs. The manager of a `ForkRuntime` has the
    /// sandbox of the runtime's settings. On any other thread than the manager's, this is nil, and changing it has no
    /// effect.
    public var sandbox: Sandbox? {
        get { isOwner ? storedSandbox : nil }
        set {
            guard isOwner else { return }
            storedSandbox = newValue
            targets?.sandbox = newValue
        }
    }

    /// The privileges and the sandbox of the runtime that it belongs to. In another process or thread it changes
    /// nothing.
    func adopt(_ settings: RuntimeSettings) {
        guard isOwner else { return }
        privileges = settings.privileges
        targets?.privileges = privileges
        sandbox = settings.sandbox
    }

    // Targets

    func add<Message: Codable & Sendable>(
        _ name: String, _ type: Message.Type, _ options: TargetOptions,
        _ body: @escaping (TargetHandle, ChannelDeliver<Message>) -> Int32
    ) throws(ProcessError) {
        let targets = try used()
        if channels[name] != nil { throw ProcessError(.duplicate(name)) }
        if name.isEmpty { throw ProcessError(.badName(name)) }
        try options.check(name)
        FamilyNames.prepare()
        let pair: ChannelDeliver<Message>
        do throws(ChannelError) {
            pair = try ChannelDeliver(process: name, options.channels)
        } catch {
            throw ProcessError(.channels("\(error)"))
        }
        var settings = TargetSettings(name: name)
        settings.dependencies = options.dependencies
        settings.onFailure = options.onFailure
        settings.startTimeout = options.startTimeout
        settings.grace = max(.zero, options.grace ?? grace)
        settings.privileges = options.privileges
        settings.succession = options.succession
        let line = try targets.add(settings) { handle in body(handle, pair) }
        ControlLines.add(line, for: name)
        channels[name] = pair
    }

    /// Forgets a target and its channels.
    ///
    /// - Throws: `.unknown`. `.inUse` while it runs or another target depends on it. `.wrongOwner`.
    public func removeTarget(_ name: String) throws(ProcessError) {
        try used().remove(name)
        ControlLines.remove(name)
        channels[name] = nil
    }

    /// The runner that watches the targets. Made at first use.
    ///
    /// - Throws: `.wrongOwner`, `.alreadyForked`, `.system`.
    func used() throws(ProcessError) -> TargetRunner {
        guard isOwner else { throw ProcessError(.wrongOwner) }
        if let targets { return targets }
        let new = try TargetRunner(hooks: storedHooks, isBesidePool: isBesidePool)
        new.log = log
        new.privileges = privileges
        new.sandbox = storedSandbox
        targets = new
        return new
    }

    /// For the supervisor of a worker pool: nil when there is no target, or when this is not the manager's thread.
    func beside(log: (@Sendable (LogLine) -> Void)?) -> TargetRunner? {
        guard isOwner else { return nil }
        if self.log == nil { targets?.log = log }
        return targets
    }
}
