// The user, groups and root directory of a process once it has opened what only root can open.

public import PreforkSystem

/// Rights that a process gives up. Nothing is changed by what is nil or false.
///
/// Bind listeners (a port below 1024 needs root), and open log files and the pid file before. `apply` comes after the
/// fork in each worker, or once in the supervisor, which then can neither bind such ports nor signal root's processes.
public struct Privileges: Hashable, Sendable {
    /// The supplementary groups. Where neither a user nor a group is named, the present main group stays.
    public enum Groups: Hashable, Sendable {
        /// The user's groups in the group database, and the main group. Without a user, the main group alone. Without a
        /// user and a group, they stay as they are.
        case ofUser
        /// Only the main group.
        case none
        /// Exactly these, by name or number, and the main group.
        case list([String])
    }

    /// By name or number. Its main group becomes the process's, if `group` is nil.
    public var user: String?
    /// The main group, by name or number.
    public var group: String?
    /// The supplementary groups.
    public var groups = Groups.ofUser
    /// Permission bits that new files do not get, 0...0o777.
    public var fileMask: UInt32?
    /// The directory that becomes the root, as an absolute path. User and group names are looked up before.
    public var rootDirectory: String?
    /// Programs that are started later get no rights by set-user-ID bits (PR_SET_NO_NEW_PRIVS). It cannot be turned off
    /// again.
    public var noNewPrivileges = false
    /// Whether the process may be traced and dump core. A change of user turns it off. True turns it on again, which
    /// lets every process of that user read this one's memory.
    public var isDumpable: Bool?

    /// The process keeps all rights that it has.
    public init() {}
}

/// Why privileges could not be given up. The process is left somewhere on the way and must not serve.
public struct PrivilegesError: Error, Hashable, Sendable {
    /// What went wrong.
    public enum Code: Hashable, Sendable {
        /// Neither a name in the database nor a number.
        case unknownUser(String)
        /// Neither a name in the group database nor a number.
        case unknownGroup(String)
        /// The user is a number without a line in the database, and no group was named.
        case noGroup(user: String)
        /// The root directory's path is relative.
        case relativePath(String)
        /// After it all, this call still made the process root.
        case rootRegained(by: String)
        /// The IDs are not what was set.
        case notChanged(String)
        /// The supervisor ended while its worker's order to die with it was off.
        case supervisorGone
        /// The sandbox cannot be had.
        case sandbox(SandboxError)
        /// The kernel does not let the process have this oom_score_adj.
        case scoreRefused(Int, SystemError)
        /// A system call failed.
        case system(SystemError)
    }

    /// What went wrong.
    public let code: Code

    init(_ code: Code) {
        self.code = code
    }
}

extension PrivilegesError: CustomStringConvertible {
    public var description: String {
        switch code {
        case .unknownUser(let name): "there is no user '\(Escaping.brief(name))'"
        case .unknownGroup(let name): "there is no group '\(Escaping.brief(name))'"
        case .noGroup(let user): "user \(Escaping.brief(user)) is not in the database: name a group, too"
        case .relativePath(let path): "the root directory must be an absolute path, not '\(Escaping.brief(path))'"
        case .rootRegained(let call): "root could be had back by \(call)"
        case .notChanged(let what): "\(what) did not change as asked"
        case .supervisorGone: "the supervisor ended meanwhile"
        case .sandbox(let error): "\(error)"
        case .scoreRefused(let score, let error):
            if error.errno == .permissionDenied {
                "the score \(score) for the out-of-memory killer is below the supervisor's, which needs CAP_SYS_RESOURCE: \(error)"
            } else {
                "the score \(score) for the out-of-memory killer cannot be set: \(error)"
            }
        case .system(let error): "\(error)"
        }
    }
}
