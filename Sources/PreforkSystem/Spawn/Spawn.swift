// Starting a program in a new process.

import CPrefork
import Glibc

/// What a start was doing when it failed, in the order in which it is done.
public enum SpawnStep: String, Hashable, Sendable {
    /// The command itself: a NUL byte in a string, a name with `=`, an empty program.
    case command
    /// Opening a pipe, a file or a terminal for the child, in the parent.
    case streams
    /// Making the process and its surroundings, in this order: the process itself (clone(2)), its session or process
    /// group (setsid(2), setpgid(2)), its descriptors, the null device among them, the closing of all other descriptors
    /// (close_range(2)), and its controlling terminal (ioctl(2), TIOCSCTTY).
    case clone, session, processGroup, descriptors, nullDevice, closingOthers, controllingTerminal
    /// Limits and user of the process, in this order: its control group (cgroups(7)), its niceness (setpriority(2)),
    /// its resource limits (prlimit(2)), then setgroups(2), setgid(2) and setuid(2).
    case controlGroup, niceness, resourceLimits, supplementaryGroups, groupID, userID
    /// The last settings before the program runs, with the privileges of the new user: chdir(2), and prctl(2) with
    /// PR_SET_PDEATHSIG and PR_SET_NO_NEW_PRIVS.
    case workingDirectory, parentDeathSignal, noNewPrivileges
    /// Entering the sandbox (landlock_restrict_self(2), seccomp(2)), or what a strict one lacks.
    case sandbox
    /// Running the program, after everything else was done.
    case exec
    /// The kernel or a seccomp filter refuses clone's flags, and posix_spawn(3) cannot do what the command needs.
    case unsupported
}

/// A program could not be started. No process and no descriptor is left of the attempt.
public struct SpawnError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What failed.
    public let step: SpawnStep
    /// The system call, its errno and its object: for `.exec` the program's path.
    public let underlying: SystemError

    package init(_ step: SpawnStep, _ underlying: SystemError) {
        self.step = step
        self.underlying = underlying
    }

    /// The errno of `underlying`, for example ENOENT for a missing program.
    public var errno: Errno { underlying.errno }

    public var description: String { "start failed at step \(step.rawValue): \(underlying)" }
}

/// How processes are started. Tests force the ways that other kernels and filters need.
package struct SpawnEngine: Sendable {
    package enum Call: Sendable { case clone, posixSpawn }
    package var call = Call.clone
    package var withoutPidfd = false
    package var withoutCloseRange = false

    package init() {}
}

/// A process that was started.
package struct SpawnedProcess {
    package let child: ChildProcess
    package let call: SpawnEngine.Call
}

/// Starts the program of `plan`. Blocks the calling thread until the program runs (some hundred microseconds). Any
/// number of threads may call it at once.
package func spawnProcess(_ plan: SpawnPlan, engine: SpawnEngine) throws(SpawnError) -> SpawnedProcess {
    var result = cprefork_spawn_result()
    var call = engine.call
    var ruleset: Int32?
    if let sandbox = plan.sandbox {
        do throws(SystemError) { ruleset = try sandbox.makeRuleset() } catch { throw SpawnError(.sandbox, error) }
    }
    plan.withCPlan(ruleset: ruleset) { cPlan in
        cPlan.without_pidfd = engine.withoutPidfd
        cPlan.without_close_range = engine.withoutCloseRange
        if call == .clone {
            cprefork_spawn(&cPlan, &result)
            let isRefused =
                result.step == SpawnStep.clone.number && [EINVAL, EPERM, ENOSYS].contains(result.error)
            if isRefused { call = .posixSpawn }
        }
        // Only a child overwrites the plan's descriptors, and a refused clone made no child.
        if call == .posixSpawn { cprefork_posix_spawn(&cPlan, &result) }
    }
    if let ruleset { closeDescriptor(ruleset) }
    guard result.step == 0 else { throw plan.error(of: result) }
    let child =
        engine.withoutPidfd
        ? ChildProcess(withoutPidfd: result.pid)
        : result.pidfd >= 0 ? ChildProcess(pid: result.pid, pidfd: result.pidfd) : ChildProcess(pid: result.pid)
    return SpawnedProcess(child: child, call: call)
}

extension SpawnStep {
    /// The numbers of enum cprefork_spawn_step.
    private static let numbered: [SpawnStep] = [
        .clone, .session, .processGroup, .descriptors, .nullDevice, .closingOthers, .controllingTerminal, .controlGroup,
        .niceness, .resourceLimits, .supplementaryGroups, .groupID, .userID, .workingDirectory, .parentDeathSignal,
        .noNewPrivileges, .sandbox, .exec, .unsupported,
    ]

    fileprivate var number: Int32 { Int32((Self.numbered.firstIndex(of: self) ?? -2) + 1) }

    fileprivate init(number: Int32) {
        let index = Int(number) - 1
        self = Self.numbered.indices.contains(index) ? Self.numbered[index] : .command
    }

    fileprivate var call: String {
        switch self {
        case .command: "command"
        case .streams, .nullDevice: "open"
        case .clone: "clone"
        case .session: "setsid"
        case .processGroup: "setpgid"
        case .descriptors: "dup3"
        case .closingOthers: "close_range"
        case .controllingTerminal: "ioctl"
        case .controlGroup: "write"
        case .niceness: "setpriority"
        case .resourceLimits: "prlimit"
        case .supplementaryGroups: "setgroups"
        case .groupID: "setgid"
        case .userID: "setuid"
        case .workingDirectory: "chdir"
        case .parentDeathSignal, .noNewPrivileges: "prctl"
        case .sandbox: "sandbox"
        case .exec: "execve"
        case .unsupported: "posix_spawn"
        }
    }
}

extension SpawnPlan {
    fileprivate func error(of result: cprefork_spawn_result) -> SpawnError {
        let step = SpawnStep(number: result.step)
        let errno = Errno(rawValue: result.error)
        return SpawnError(step, SystemError(step.call, errno, on: object(of: step, result)))
    }

    private func object(of step: SpawnStep, _ result: cprefork_spawn_result) -> String {
        switch step {
        case .descriptors, .controllingTerminal: "descriptor \(result.object)"
        case .nullDevice: "/dev/null"
        case .processGroup: if case .joining(let group) = group { "group \(group)" } else { "" }
        case .controlGroup: text(controlGroup)
        case .niceness: "niceness \(niceness ?? 0)"
        case .resourceLimits: ResourceName.of(result.object)
        case .groupID: "group \(groupID ?? 0)"
        case .userID: "user \(userID ?? 0)"
        case .workingDirectory: text(workingDirectory)
        case .exec: program(Int(result.program), result.error)
        case .unsupported: "the command's options need clone"
        default: ""
        }
    }

    private func text(_ bytes: [UInt8]?) -> String {
        String(decoding: bytes ?? [], as: UTF8.self)
    }

    /// The path that was tried, and what is missing when the file itself is there.
    private func program(_ index: Int, _ error: Int32) -> String {
        guard programs.indices.contains(index) else { return "" }
        let path = text(programs[index])
        if error == ENOENT, let interpreter = missingInterpreter(of: path) { return "\(path): \(interpreter)" }
        guard programs.count > 1 else { return path }
        let name = path.split(separator: "/").last ?? ""
        return error == ENOENT ? "\(name), in \(programs.count) directories of PATH" : path
    }

    /// execve(2) also fails with ENOENT for a script whose interpreter is missing.
    private func missingInterpreter(of path: String) -> String? {
        guard access(path, F_OK) == 0, let head = try? SmallFile.read(path, limit: 256) else { return nil }
        guard head.hasPrefix("#!") else { return "its program loader is missing" }
        let line = head.dropFirst(2).prefix { $0 != "\n" }
        return "its interpreter \(line.split(separator: " ").first ?? "") is missing"
    }
}
