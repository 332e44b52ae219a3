// The check that workers cannot write the program that the supervisor would become.

import PreforkSystem

extension PreparedPrivileges {
    /// The user that workers become. If nil, they keep the supervisor's.
    private var user: UInt32? {
        for case .setUser(let user) in steps { return user }
        return nil
    }

    private var groups: Set<UInt32> {
        var groups: Set<UInt32> = []
        for step in steps {
            if case .setGroup(let group) = step { groups.insert(group) }
            if case .setGroups(let list) = step { groups.formUnion(list) }
        }
        return groups
    }

    /// Why a program must not run with the supervisor's rights. If nil, workers have the same rights, or cannot write
    /// to the program.
    func distrust(of program: String) -> String? {
        guard let user, let part = ProgramImage.writablePart(of: program, user: user, groups: groups)
        else { return nil }
        return "\(program) is not run as the supervisor: the workers' user \(user) can write to \(part)"
    }
}
