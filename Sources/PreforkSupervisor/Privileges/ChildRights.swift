// The rights that forked children, workers and managed processes, give up.

import PreforkSystem

/// Which rights a managed process has.
public enum TargetPrivileges: Hashable, Sendable {
    /// The workers' rights: user, groups, root directory and so on are what `RuntimeSettings.privileges` and the
    /// `PREFORK_*` variables say.
    case workers
    /// The supervisor's rights. An attacker who takes such a process over has them, too. If the supervisor is root, the
    /// log has a warning.
    case supervisor
}

/// The rights of children, looked up before the fork. `giveUp` is the one way on which a child loses them.
struct ChildRights: Sendable {
    let privileges: PreparedPrivileges
    /// The sandbox that children enter last. If nil, there is none.
    let sandbox: PreparedSandbox?
    private let variables: [String]
    /// If nil, children keep the supervisor's.
    private let outOfMemoryScore: Int?

    /// Looks names up, while the process still sees the database.
    init(_ settings: RuntimeSettings) throws(PrivilegesError) {
        privileges = try settings.privileges.prepare()
        variables = ChildEnvironment.names(keepingService: settings.keepsServiceVariables)
        do throws(SandboxError) {
            sandbox = try settings.sandbox.map { sandbox throws(SandboxError) in
                try PreparedSandbox(sandbox, root: settings.privileges.rootDirectory)
            }
        } catch {
            throw PrivilegesError(.sandbox(error))
        }
        outOfMemoryScore = settings.outOfMemoryScore
        if let score = outOfMemoryScore {
            do throws(SystemError) { try OutOfMemoryScore.check(score) } catch {
                throw PrivilegesError(.scoreRefused(score, error))
            }
        }
        if otherUser != nil { Family.noteOtherRights() }
    }

    /// The kernel would choose the supervisor as early as its children, and all of them end with it. If nil, it is not
    /// so.
    var scoreWarning: String? {
        guard let score = outOfMemoryScore, let own = OutOfMemoryScore.current, score <= own else { return nil }
        return "PREFORK_OOM_SCORE=\(score) is not above the supervisor's own score, \(own): the kernel may kill it first"
    }

    /// Runs in the child. When it throws, the process must end.
    func giveUp(_ kind: TargetPrivileges = .workers) throws(PrivilegesError) {
        ProcessEnvironment.remove(variables)
        // Before the user changes and /proc is left behind.
        if let score = outOfMemoryScore {
            do throws(SystemError) { try OutOfMemoryScore.set(score) } catch {
                throw PrivilegesError(.scoreRefused(score, error))
            }
        }
        guard kind == .workers else { return }
        if otherUser != nil {
            do throws(SystemError) { try leaveSession() } catch { throw PrivilegesError(.system(error)) }
        }
        try privileges.apply()
        // The last step: the sandbox need not allow those before. There is one thread yet, and it binds all others.
        do throws(SandboxError) { try sandbox?.enter() } catch { throw PrivilegesError(.sandbox(error)) }
    }

    /// A process of another user must not be in the supervisor's process group or session. The kernel signals whole
    /// groups with its own rights, and a member can cause that: SIGHUP, when a group with a stopped process loses its
    /// last parent in the session (setpgid(2), credentials(7)), and SIGTTIN and SIGTTOU, when a member reads from the
    /// terminal or sets it in the background (tty_ioctl(4)). To a supervisor these signals are orders. A process that
    /// has its terminal can type into it (TIOCSTI, until Linux 6.2 without any right). Every process that inherits the
    /// session keyring can read its keys, whatever user the process becomes (keyrings(7): possession).
    private func leaveSession() throws(SystemError) {
        try Credentials.leaveSession()
        // Before the user changes, whose quota of keys may be used up.
        try Credentials.leaveSessionKeyring()
        // Repairs what another worker did and only root can repair.
        Listener.restoreOptions()
    }

    /// The user that children become, where that is another one than the supervisor's.
    var otherUser: UInt32? {
        for case .setUser(let user) in privileges.steps where user != Credentials.users.real { return user }
        return nil
    }

    /// The groups that children are in.
    var groups: [UInt32] {
        privileges.steps.flatMap { step -> [UInt32] in
            switch step {
            case .setGroups(let groups): groups
            case .setGroup(let group): [group]
            default: []
            }
        }
    }

    /// The exit code of a child that could not give its rights up, or not get its place (EX_CONFIG of sysexits.h).
    static let failureCode: Int32 = 78
}
