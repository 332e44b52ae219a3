// The steps by which privileges are given up, in the one order that works.

import PreforkSystem

/// One step. Each needs rights that a later one takes away.
enum PrivilegeStep: Hashable, Sendable {
    case setFileMask(UInt32)
    /// Needs CAP_SYS_CHROOT: before the user is changed. With chdir(2), or the process stays outside.
    case changeRoot(String)
    /// Needs CAP_SETGID.
    case setGroups([UInt32])
    /// Needs CAP_SETGID.
    case setGroup(UInt32)
    /// The kernel takes the capabilities away with the last of the three IDs (capabilities(7)).
    case setUser(UInt32)
    /// PR_SET_PDEATHSIG is cleared by a change of IDs (prctl(2)): without this step a worker would outlive its
    /// supervisor.
    case renewParentDeathSignal
    /// Real, effective and saved IDs are the requested ones, and the process cannot return to 0.
    case verify(user: UInt32?, group: UInt32?)
    case noNewPrivileges
    /// Last: the change of user has turned it off.
    case setDumpable(Bool)
}

/// Names, looked up.
struct ResolvedPrivileges: Hashable, Sendable {
    var user: UInt32?
    var group: UInt32?
    /// If nil, supplementary groups stay as they are.
    var groups: [UInt32]?
}

/// The databases, as functions, so that the plan can be tested without one.
struct AccountLookup: Sendable {
    var user: @Sendable (String) throws(SystemError) -> UserAccount?
    var userByID: @Sendable (UInt32) throws(SystemError) -> UserAccount?
    var group: @Sendable (String) throws(SystemError) -> UInt32?
    var groupsOf: @Sendable (UserAccount) -> [UInt32]

    static var system: AccountLookup {
        AccountLookup(
            user: { (name) throws(SystemError) in try Accounts.user(named: name) },
            userByID: { (uid) throws(SystemError) in try Accounts.user(withID: uid) },
            group: { (name) throws(SystemError) in try Accounts.group(named: name) },
            groupsOf: { Accounts.groups(of: $0) })
    }
}

extension Privileges {
    /// The steps, when names mean `resolved` and the process has the IDs that it has.
    ///
    /// - Parameters:
    ///   - users, groupIDs: the present IDs. What already is as asked takes no step: without root it would be refused.
    func plan(_ resolved: ResolvedPrivileges, users: IdentityTriple, groupIDs: IdentityTriple) -> [PrivilegeStep] {
        var steps: [PrivilegeStep] = []
        if let fileMask { steps.append(.setFileMask(fileMask)) }
        if let rootDirectory { steps.append(.changeRoot(rootDirectory)) }
        let changesUser = resolved.user.map { !users.isAll($0) } ?? false
        let changesGroup = resolved.group.map { !groupIDs.isAll($0) } ?? false
        // Another user must not keep root's supplementary groups, whatever the IDs are.
        if users.effective == 0 || changesUser || changesGroup, let groups = resolved.groups {
            steps.append(.setGroups(groups))
        }
        if let group = resolved.group, changesGroup { steps.append(.setGroup(group)) }
        if let user = resolved.user, changesUser { steps.append(.setUser(user)) }
        if changesUser || changesGroup { steps.append(.renewParentDeathSignal) }
        if resolved.user != nil || resolved.group != nil {
            steps.append(.verify(user: resolved.user, group: resolved.group))
        }
        if noNewPrivileges { steps.append(.noNewPrivileges) }
        if let isDumpable { steps.append(.setDumpable(isDumpable)) }
        return steps
    }

    /// Looks the names up. Before `changeRoot`: there is no database inside.
    ///
    /// - Parameter presentGroup: the effective group ID, which stays the main group if no group is named.
    func resolve(
        by lookup: AccountLookup, presentGroup: UInt32
    ) throws(PrivilegesError) -> ResolvedPrivileges {
        if let rootDirectory, rootDirectory.utf8.first != UInt8(ascii: "/") {
            throw PrivilegesError(.relativePath(rootDirectory))
        }
        var resolved = ResolvedPrivileges()
        var account: UserAccount?
        if let user {
            account = try find(user, by: lookup)
            // A number needs no line in the database: containers rarely have one for theirs.
            guard let uid = account?.uid ?? UInt32(user), uid != .max else { throw PrivilegesError(.unknownUser(user)) }
            resolved.user = uid
        }
        if let group {
            resolved.group = try lookup.id(ofGroup: group)
        } else if let user {
            guard let account else { throw PrivilegesError(.noGroup(user: user)) }
            resolved.group = account.gid
        }
        // Without a user there are no groups of his: the present ones stay, unless others are asked for.
        if resolved.group == nil, groups == .ofUser { return resolved }
        let main = resolved.group ?? presentGroup
        var others: [UInt32] = []
        switch groups {
        case .ofUser: others = account.map(lookup.groupsOf) ?? []
        case .none: break
        case .list(let names): for name in names { others.append(try lookup.id(ofGroup: name)) }
        }
        resolved.groups = [main] + others.filter { $0 != main }
        return resolved
    }

    private func find(_ user: String, by lookup: AccountLookup) throws(PrivilegesError) -> UserAccount? {
        do throws(SystemError) {
            if let account = try lookup.user(user) { return account }
            guard let uid = UInt32(user) else { return nil }
            return try lookup.userByID(uid)
        } catch {
            throw PrivilegesError(.system(error))
        }
    }
}

extension AccountLookup {
    fileprivate func id(ofGroup name: String) throws(PrivilegesError) -> UInt32 {
        do throws(SystemError) {
            if let gid = try group(name) ?? UInt32(name), gid != .max { return gid }
        } catch {
            throw PrivilegesError(.system(error))
        }
        throw PrivilegesError(.unknownGroup(name))
    }
}
