// Carries the steps out.

import PreforkSystem

/// Privileges with their names looked up and their steps in order, ready for a process that may have no database any
/// more. Made in the supervisor, applied in each worker.
package struct PreparedPrivileges: Sendable {
    let steps: [PrivilegeStep]

    /// Gives the rights up, in this process and for all of its threads. It cannot be undone, also not halfway: a
    /// process in which this throws must end.
    package func apply() throws(PrivilegesError) {
        let signal = Credentials.parentDeathSignal
        let parent = Credentials.parent
        for step in steps {
            do throws(SystemError) {
                switch step {
                case .setFileMask(let mask): Credentials.setFileMask(mask)
                case .changeRoot(let directory): try Credentials.changeRoot(to: directory)
                case .setGroups(let groups): try Credentials.setGroups(groups)
                case .setGroup(let group): try Credentials.setGroup(group)
                case .setUser(let user): try Credentials.setUser(user)
                case .renewParentDeathSignal: if let signal { try Credentials.setParentDeathSignal(signal) }
                case .noNewPrivileges: try Credentials.setNoNewPrivileges()
                case .setDumpable(let isDumpable): try Credentials.setDumpable(isDumpable)
                case .verify: break
                }
            } catch {
                throw PrivilegesError(.system(error))
            }
            if case .verify(let user, let group) = step {
                try verifyGroups()
                try verify(user: user, group: group)
            }
            // The parent may have ended while the signal was off.
            if step == .renewParentDeathSignal, signal != nil, Credentials.parent != parent {
                throw PrivilegesError(.supervisorGone)
            }
        }
    }

    private func verifyGroups() throws(PrivilegesError) {
        for case .setGroups(let asked) in steps {
            let present: [UInt32]
            do throws(SystemError) {
                present = try Credentials.supplementaryGroups()
            } catch {
                throw PrivilegesError(.system(error))
            }
            if Set(present) != Set(asked) { throw PrivilegesError(.notChanged("supplementary groups \(asked)")) }
        }
    }

    private func verify(user: UInt32?, group: UInt32?) throws(PrivilegesError) {
        if let user, !Credentials.users.isAll(user) { throw PrivilegesError(.notChanged("user \(user)")) }
        if let group, !Credentials.groups.isAll(group) { throw PrivilegesError(.notChanged("group \(group)")) }
        guard let user, user != 0 else { return }
        if let call = Credentials.callThatRegainsRoot(user: true, group: group != 0) {
            throw PrivilegesError(.rootRegained(by: call))
        }
    }
}

extension Privileges {
    /// Looks names up and makes the plan. Runs before the fork, where the databases are.
    ///
    /// - Throws: `.unknownUser`, `.unknownGroup`, `.noGroup`, `.relativePath`, `.system`.
    package func prepare() throws(PrivilegesError) -> PreparedPrivileges {
        let present = Credentials.groups
        let resolved = try resolve(by: .system, presentGroup: present.effective)
        return PreparedPrivileges(steps: plan(resolved, users: Credentials.users, groupIDs: present))
    }

    /// Gives the rights up permanently, for all threads of this process. A process in which this throws may have given
    /// up some of them and must end.
    ///
    /// The order: umask, chroot and chdir, supplementary groups, group, user, the signal at the supervisor's end (which
    /// the kernel has cleared by then), a check that root cannot be had back, no-new-privileges, dumpable.
    ///
    /// - Throws: `PrivilegesError`, which names the call, its errno and what it was called on.
    /// - Note: credentials(7), capabilities(7). The order is the one of nginx and php-fpm.
    public func apply() throws(PrivilegesError) {
        try prepare().apply()
    }
}
