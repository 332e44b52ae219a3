// What a forked child gives up, a worker and a managed process alike.

import PreforkSystem

/// Which rights a managed process has.
public enum TargetPrivileges: Hashable, Sendable {
    /// Those of the workers: user, groups, root directory and so on are what `RuntimeSettings.privileges` and the
    /// `PREFORK_*` variables say.
    case workers
    /// Those of the supervisor. Whoever takes such a process over has the supervisor's rights. When that is root, the
    /// log has a warning.
    case supervisor
}

/// The rights of children, looked up before the fork. `giveUp` is the one way on which a child loses them.
struct ChildRights: Sendable {
    let privileges: PreparedPrivileges
    private let variables: [String]

    /// Looks names up; while there still is a database.
    init(_ settings: RuntimeSettings) throws(PrivilegesError) {
        privileges = try settings.privileges.prepare()
        variables = ChildEnvironment.names(keepingService: settings.keepsServiceVariables)
    }

    /// Runs in the child. When it throws, the process must end.
    func giveUp(_ kind: TargetPrivileges = .workers) throws(PrivilegesError) {
        ProcessEnvironment.remove(variables)
        if kind == .workers { try privileges.apply() }
    }

    /// The user that children become, where that is another one than the supervisor's.
    var otherUser: UInt32? {
        for case .setUser(let user) in privileges.steps where user != Credentials.users.real { return user }
        return nil
    }

    /// The exit code of a child that could not give its rights up, or not get its place (EX_CONFIG of sysexits.h).
    static let failureCode: Int32 = 78
}
