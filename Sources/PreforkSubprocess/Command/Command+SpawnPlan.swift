// Checks a command, finds its program and translates it for the kernel. Nothing is started or opened.

import PreforkSystem

extension Command {
    /// The plan for this command with these descriptors.
    func spawnPlan(_ descriptors: [(target: Int32, source: SpawnPlan.Source)], terminal: Int32?) throws(SpawnError)
        -> SpawnPlan
    {
        var plan = SpawnPlan(
            programs: try programs(), arguments: [(argument0 ?? name).bytes] + arguments.map(\.bytes))
        plan.environment = environment.edits
        plan.descriptors = descriptors
        plan.workingDirectory = workingDirectory?.bytes
        plan.group = terminal == nil ? plannedGroup : .session
        plan.controllingTerminal = terminal
        plan.controlGroup = controlGroup.map { $0.path.bytes + Array("/cgroup.procs".utf8) }
        plan.niceness = niceness
        plan.limits = limits.map { SpawnPlan.Limit(resource: $0.resource, soft: $0.soft, hard: $0.hard) }
        plan.supplementaryGroups = identity?.supplementaryGroups
        plan.userID = identity?.user
        plan.groupID = identity?.group
        plan.umask = umask
        plan.parentDeathSignal = dieWithParent ?? (FamilyChildren.includes(self) ? .kill : nil)
        plan.parentDeathIsWish = dieWithParent == nil
        plan.noNewPrivileges = noNewPrivileges
        plan.sandbox = try preparedSandbox()
        return plan
    }

    private func preparedSandbox() throws(SpawnError) -> PreparedSandbox? {
        guard let sandbox else { return nil }
        do throws(SandboxError) {
            let prepared = try PreparedSandbox(sandbox)
            if let warning = prepared.warning { SandboxNotice.say(warning) }
            return prepared
        } catch {
            throw SpawnError(.sandbox, SystemError("sandbox", .notSupported, on: "\(error)"))
        }
    }

    private var plannedGroup: SpawnPlan.Group {
        switch group {
        case .automatic: stdin == .inherit && isTerminal(0) ? .inherited : .new
        case .inherit: .inherited
        case .new: .new
        case .join(let group): .joining(group)
        case .session, .detached: .session
        }
    }

    private func programs() throws(SpawnError) -> [[UInt8]] {
        switch program {
        case .name(let name):
            if name.bytes.isEmpty { throw SpawnError(command: "the program has no name") }
            let found = ProgramSearch.candidates(name.bytes, path: environment["PATH"]?.bytes)
            if found.isEmpty { throw SpawnError(.exec, SystemError("execve", .noEntry, on: "\(name), PATH is empty")) }
            return found
        case .path(let path):
            return [try self.path(path.bytes)]
        }
    }

    /// With a different working directory, the child would look for a relative path there.
    private func path(_ path: [UInt8]) throws(SpawnError) -> [UInt8] {
        guard workingDirectory != nil, !path.isEmpty else { return path }
        do throws(SystemError) {
            return try ProgramSearch.absolute(path, in: CurrentProcess.workingDirectory)
        } catch {
            throw SpawnError(.exec, error)
        }
    }

    /// Refuses what no kernel could interpret, before anything is opened or emptied.
    func check() throws(SpawnError) {
        let texts =
            [name, workingDirectory, controlGroup?.path].compactMap { $0 } + stdin.files + stdout.files + stderr.files
        if let bad = texts.first(where: { !$0.isValid }) {
            throw SpawnError(command: "a NUL byte in \(ForeignText(bad.description).escaped(for: .log))")
        }
        // Arguments may hold secrets: they are named by their numbers.
        if let number = ([argument0 ?? name] + arguments).firstIndex(where: { !$0.isValid }) {
            throw SpawnError(command: "a NUL byte in argument \(number)")
        }
        if case .name(let name) = program, name.bytes.contains(UInt8(ascii: "/")) {
            // Searched in PATH it would be a path out of each of its directories.
            let name = ForeignText(name.description).escaped(for: .log)
            throw SpawnError(command: "'\(name)' is a path, not a name: use .path")
        }
        try checkNumbers()
        try stopPlan.check()
        if let limit = (stdout.limits + stderr.limits).first(where: { $0 < 0 }) {
            throw SpawnError(command: "output that is collected up to a limit of \(limit) bytes")
        }
        if let name = environment.invalidName { throw SpawnError(command: "environment variable \(name)") }
        if let number = descriptors.keys.first(where: { $0 < 0 || $0 > 1 << 20 }) {
            throw SpawnError(command: "descriptor \(number) for the program")
        }
        let sources = stdin.descriptors + stdout.descriptors + stderr.descriptors + descriptors.values
        if let number = sources.first(where: { $0 < 0 }) { throw SpawnError(command: "descriptor \(number)") }
    }

    /// Refuses streams if no caller could use them.
    func rejectInteractiveStreams() throws(SpawnError) {
        if stdin.needsUser || stdout.needsUser || stderr.needsUser {
            throw SpawnError(command: "no caller could use a stream of \(name) here: use `spawn` or `with`")
        }
    }
}

extension Command {
    /// Numbers that mean nothing, or something else than they say: to setuid(2) the greatest is "leave it".
    private func checkNumbers() throws(SpawnError) {
        if case .join(let group) = group, group <= 0 { throw SpawnError(command: "process group \(group)") }
        if let niceness, !(-20...19).contains(niceness) { throw SpawnError(command: "niceness \(niceness)") }
        if let umask, umask > 0o777 { throw SpawnError(command: "umask 0o\(String(umask, radix: 8))") }
        if let signal = dieWithParent, !(1...64).contains(signal.rawValue) {
            throw SpawnError(command: "signal \(signal.rawValue)")
        }
        let identities = [identity?.user, identity?.group].compactMap { $0 } + (identity?.supplementaryGroups ?? [])
        if identities.contains(.max) { throw SpawnError(command: "user or group \(UInt32.max)") }
        if let limit = limits.first(where: { $0.resource < 0 }) {
            throw SpawnError(command: "limit of resource \(limit.resource)")
        }
    }
}

/// The rules of execvp(3), with the child's PATH and without the current directory.
enum ProgramSearch {
    /// What the C library searches when PATH is unset (confstr(3), _CS_PATH).
    static let standardPath = Array("/bin:/usr/bin".utf8)

    private static let slash = UInt8(ascii: "/")

    /// The paths to try, in order. The child tries them all, so that a search costs one process.
    ///
    /// Entries of PATH that are empty or relative are left out: both mean a directory that the user of this process may
    /// have chosen (swift-subprocess #359).
    static func candidates(_ name: [UInt8], path: [UInt8]?) -> [[UInt8]] {
        var seen: Set<[UInt8]> = []
        return (path ?? standardPath).split(separator: UInt8(ascii: ":"))
            .filter { $0.first == slash && seen.insert(Array($0)).inserted }
            .map { $0 + ($0.last == slash ? [] : [slash]) + name }
    }

    /// A path that stays the same when the child changes its directory (duct's rule).
    static func absolute(_ path: [UInt8], in directory: () throws(SystemError) -> [UInt8]) throws(SystemError)
        -> [UInt8]
    {
        if path.first == slash { return path }
        return try directory() + [slash] + path
    }
}

extension SpawnError {
    /// The command requests something that does not exist.
    init(command problem: String) {
        self.init(.command, SystemError("command", .invalidArgument, on: problem))
    }
}
