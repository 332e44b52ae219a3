// Why a managed process cannot be added, started or asked.

public import PreforkSystem

/// An operation on a `ProcessManager` failed. Nothing has changed then, unless the case says so.
public struct ProcessError: Error, Hashable, Sendable {
    /// What went wrong.
    public enum Code: Hashable, Sendable {
        /// No target has this name.
        case unknown(String)
        /// A target has this name already. It and its channels stay as they are.
        case duplicate(String)
        /// A name that cannot be one: it is empty.
        case badName(String)
        /// The target runs, starts, or waits to be started again.
        case alreadyRunning(String)
        /// The name is that of a once-task, whose schedule alone starts it. `preforkctl run` has it run now.
        case onceTask(String)
        /// The target, or one that depends on it, is still in use: it cannot be removed.
        case inUse(String)
        /// Targets depend on each other in a cycle, which `path` names.
        case cycle
        /// The manager is stopping everything at the moment.
        case stopping
        /// A dependency of the target cannot become ready: it has failed, crashed or was stopped. `path` names both.
        case dependencyFailed(String)
        /// The target ended, or failed, before it was ready.
        case startFailed(String)
        /// Not all targets were ready in time. They keep starting.
        case notReady([String])
        /// More than one thread: see `SupervisorError.Code.multithreaded`.
        case multithreaded(threads: Int)
        /// The caller is a worker: its supervisor is another process.
        case alreadyForked
        /// The manager belongs to another process, or another thread of this one.
        case wrongOwner
        /// An operation that waits was called by a hook, which the manager itself is waiting for. `send` does not wait.
        case calledByHook
        /// The target's channels could not be made.
        case channels(String)
        /// A code was not sent: the supervisor has not read those before.
        case controlQueueFull(String)
        /// The cron schedule of a once-task makes no sense.
        case badSchedule(String, CronError)
        /// An option of the target, the variables `PREFORK_*`, or the user or group of the processes makes no sense.
        /// The text says which.
        case badSettings(String)
        /// The kernel refused a process.
        case fork
        /// Another system call failed.
        case system
    }

    /// What went wrong.
    public let code: Code
    /// The dependency path to the name, beginning with the target that was started. Empty where there is no path.
    public let path: [String]
    /// The failed call, for `.fork` and `.system`.
    public let underlying: SystemError?

    package init(_ code: Code, path: [String] = [], _ underlying: SystemError? = nil) {
        self.code = code
        self.path = path
        self.underlying = underlying
    }

    package init(_ error: SystemError) {
        self.init(.system, error)
    }
}

extension ProcessError: CustomStringConvertible {
    public var description: String {
        switch code {
        case .unknown(let name):
            path.count > 1 ? "no target \(quoted(name)): \(pathText)" : "no target \(quoted(name))"
        case .duplicate(let name): "a target \(quoted(name)) exists"
        case .badName(let name): "\(quoted(name)) cannot be a target's name"
        case .alreadyRunning(let name): "target \(quoted(name)) is running"
        case .onceTask(let name): "\(quoted(name)) is a once-task: its schedule starts it, or preforkctl run"
        case .inUse(let name): "target \(quoted(name)) is in use"
        case .cycle: "targets depend on each other: \(pathText)"
        case .stopping: "all processes are being stopped"
        case .dependencyFailed(let name): "a dependency of \(quoted(name)) cannot become ready: \(pathText)"
        case .startFailed(let name): "target \(quoted(name)) ended before it was ready"
        case .notReady(let names): "not ready in time: \(names.map(Escaping.brief).joined(separator: ", "))"
        case .multithreaded(let threads): "\(SupervisorError(.multithreaded(threads: threads)))"
        case .alreadyForked: "cannot manage processes in a worker"
        case .wrongOwner: "a process manager works only in the process, and on the thread, that made it"
        case .calledByHook: "a hook must not wait for a process that waits for the hook"
        case .channels(let reason): "no channels: \(reason)"
        case .controlQueueFull(let name): "the code for \(quoted(name)) was not sent: too many are waiting"
        case .badSchedule(let name, let error): "once-task \(quoted(name)): \(error)"
        case .badSettings(let reason): reason
        case .fork: underlying.map { "no process: \($0)" } ?? "no process"
        case .system: underlying.map { "cannot manage processes: \($0)" } ?? "cannot manage processes"
        }
    }

    /// Of a long path both ends: ten thousand targets may depend on each other.
    private var pathText: String {
        let names = path.count > 20 ? path.prefix(10) + ["..."] + path.suffix(10) : path[...]
        return names.map(Escaping.brief).joined(separator: " -> ")
    }

    /// Names are any text.
    private func quoted(_ name: String) -> String { "\"\(Escaping.brief(name))\"" }
}
