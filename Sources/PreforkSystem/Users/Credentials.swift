// The process's user and groups, and how it changes to others (credentials(7)).

import CPrefork
import Glibc

/// Real, effective and saved ID.
package struct IdentityTriple: Hashable, Sendable {
    package var real: UInt32
    package var effective: UInt32
    package var saved: UInt32

    package init(_ real: UInt32, _ effective: UInt32, _ saved: UInt32) {
        self.real = real
        self.effective = effective
        self.saved = saved
    }

    package func isAll(_ id: UInt32) -> Bool { real == id && effective == id && saved == id }
}

/// The calls behind `Privileges`, for the whole process: glibc changes every thread.
package enum Credentials {
    package static var users: IdentityTriple {
        var triple = IdentityTriple(0, 0, 0)
        _ = cprefork_all_user_ids(&triple.real, &triple.effective, &triple.saved)
        return triple
    }

    package static var groups: IdentityTriple {
        var triple = IdentityTriple(0, 0, 0)
        _ = cprefork_all_group_ids(&triple.real, &triple.effective, &triple.saved)
        return triple
    }

    package static func setGroups(_ groups: [UInt32]) throws(SystemError) {
        try systemCall("setgroups", on: "\(groups)") { cprefork_set_groups(groups, groups.count) }
    }

    /// The supplementary groups.
    package static func supplementaryGroups() throws(SystemError) -> [UInt32] {
        let count = try systemCall("getgroups") { getgroups(0, nil) }
        var groups = [gid_t](repeating: 0, count: Int(count))
        let found = try systemCall("getgroups") { getgroups(Int32(groups.count), &groups) }
        return Array(groups.prefix(Int(found)))
    }

    package static func setGroup(_ gid: UInt32) throws(SystemError) {
        try systemCall("setresgid", on: "group \(gid)") { cprefork_set_all_group_ids(gid, gid, gid) }
    }

    package static func setUser(_ uid: UInt32) throws(SystemError) {
        try systemCall("setresuid", on: "user \(uid)") { cprefork_set_all_user_ids(uid, uid, uid) }
    }

    /// Tries to get ID 0 back, as user and as group.
    ///
    /// - Returns: which call succeeded, though it must not.
    package static func callThatRegainsRoot(user: Bool, group: Bool) -> String? {
        let unchanged = UInt32.max
        if user, cprefork_set_all_user_ids(unchanged, 0, unchanged) == 0 { return "setresuid" }
        if group, cprefork_set_all_group_ids(unchanged, 0, unchanged) == 0 { return "setresgid" }
        return nil
    }

    /// chroot(2) with the two chdir(2) without which the process could escape: into the directory, and to the new root.
    package static func changeRoot(to directory: String) throws(SystemError) {
        cprefork_learn_thread_numbers()
        try systemCall("chdir", on: directory) { chdir(directory) }
        try systemCall("chroot", on: directory) { cprefork_chroot(".") }
        try systemCall("chdir", on: "/ in \(directory)") { chdir("/") }
    }

    /// - Returns: the mask before.
    @discardableResult
    package static func setFileMask(_ mask: UInt32) -> UInt32 { umask(mask & 0o777) }

    /// Makes this process the only one of a new session and process group (setsid(2)). It then has no terminal.
    ///
    /// - Throws: EPERM when it leads a group already, which a forked child does not.
    package static func leaveSession() throws(SystemError) {
        try systemCall("setsid") { setsid() }
    }

    /// A new session keyring for this process and those that it forks (keyctl(2), KEYCTL_JOIN_SESSION_KEYRING). Has no
    /// effect if the kernel has no keys, or a seccomp filter refuses them.
    package static func leaveSessionKeyring() throws(SystemError) {
        do throws(SystemError) {
            try systemCall("keyctl", on: "KEYCTL_JOIN_SESSION_KEYRING") { cprefork_join_new_session_keyring() }
        } catch where [.noSystemCall, .notPermitted].contains(error.errno) {}
    }

    /// The session keyring's number, for checking the result. Nil if the kernel reports no keyring.
    package static var sessionKeyring: Int32? {
        let number = cprefork_session_keyring()
        return number > 0 ? number : nil
    }

    /// Permanently: execve(2) then gives no additional privileges (PR_SET_NO_NEW_PRIVS).
    package static func setNoNewPrivileges() throws(SystemError) {
        try systemCall("prctl", on: "PR_SET_NO_NEW_PRIVS") { cprefork_set_no_new_privileges() }
    }

    package static func setDumpable(_ dumpable: Bool) throws(SystemError) {
        try systemCall("prctl", on: "PR_SET_DUMPABLE") { cprefork_set_dumpable(dumpable ? 1 : 0) }
    }

    /// For checking the result: only prctl(2) shows it.
    package static var isDumpable: Bool { cprefork_dumpable() == 1 }

    /// The signal that this process gets when its parent ends, or nil if there is no such signal.
    package static var parentDeathSignal: Signal? {
        var number: Int32 = 0
        guard cprefork_parent_death_signal(&number) == 0, number != 0 else { return nil }
        return Signal(rawValue: number)
    }

    package static func setParentDeathSignal(_ signal: Signal) throws(SystemError) {
        try systemCall("prctl", on: "PR_SET_PDEATHSIG") { cprefork_set_parent_death_signal(signal.rawValue) }
    }

    package static var parent: Int32 { getppid() }
}
