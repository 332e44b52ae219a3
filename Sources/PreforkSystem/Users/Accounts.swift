// Users and groups by name (getpwnam_r(3), getgrnam_r(3), getgrouplist(3)).

import CPrefork
import Glibc

/// A line of the user database.
package struct UserAccount: Hashable, Sendable {
    package var name: String
    package var uid: UInt32
    package var gid: UInt32

    package init(name: String, uid: UInt32, gid: UInt32) {
        self.name = name
        self.uid = uid
        self.gid = gid
    }
}

/// Looks up names. Call it before a chroot, which has no database, and before threads start, because some databases
/// start threads.
package enum Accounts {
    /// - Returns: nil when there is no such user.
    package static func user(named name: String) throws(SystemError) -> UserAccount? {
        guard canBeName(name) else { return nil }
        return try lookUpUser("getpwnam_r", on: name) { getpwnam_r(name, $0, $1, $2, $3) }
    }

    package static func user(withID uid: UInt32) throws(SystemError) -> UserAccount? {
        try lookUpUser("getpwuid_r", on: "\(uid)") { getpwuid_r(uid, $0, $1, $2, $3) }
    }

    /// - Returns: the group's ID, or nil if there is no such group.
    package static func group(named name: String) throws(SystemError) -> UInt32? {
        guard canBeName(name) else { return nil }
        return try grow("getgrnam_r", on: name) { buffer, count, code in
            var entry = Glibc.group()
            var found: UnsafeMutablePointer<Glibc.group>?
            code = getgrnam_r(name, &entry, buffer, count, &found)
            return found == nil ? nil : entry.gr_gid
        }
    }

    /// C reads a name up to its first NUL byte: a database would find root for `root\0x`. No name has 1 KiB (useradd(8)
    /// allows 32 characters).
    private static func canBeName(_ name: String) -> Bool {
        !name.utf8.contains(0) && name.utf8.count <= 1024
    }

    /// Every group of a user: what initgroups(3) would set.
    package static func groups(of user: UserAccount) -> [UInt32] {
        var count: Int32 = 32
        while true {
            var groups = [gid_t](repeating: 0, count: Int(count))
            let room = count
            if cprefork_group_list(user.name, user.gid, &groups, &count) >= 0 {
                return Array(groups.prefix(Int(count)))
            }
            // NGROUPS_MAX is 65,536 (credentials(7)): more cannot be set.
            if count <= room || count > 65_536 { return Array(groups.prefix(Int(room))) }
        }
    }

    private typealias PasswordLookup = (
        UnsafeMutablePointer<passwd>, UnsafeMutablePointer<CChar>, Int,
        UnsafeMutablePointer<UnsafeMutablePointer<passwd>?>
    ) -> Int32

    private static func lookUpUser(
        _ call: String, on object: String, _ body: PasswordLookup
    ) throws(SystemError) -> UserAccount? {
        try grow(call, on: object) { buffer, count, code in
            var entry = passwd()
            var found: UnsafeMutablePointer<passwd>?
            code = body(&entry, buffer, count, &found)
            // The entry's strings lie in the buffer, which lives as long as this closure.
            guard found != nil, let name = entry.pw_name else { return nil }
            return UserAccount(name: String(cString: name), uid: entry.pw_uid, gid: entry.pw_gid)
        }
    }

    /// Calls a lookup with a buffer that doubles at ERANGE: sysconf(3)'s size is only a suggestion, and a group of ten
    /// thousand members has a long line.
    private static func grow<Found>(
        _ call: String, on object: String, _ body: (UnsafeMutablePointer<CChar>, Int, inout Int32) -> Found?
    ) throws(SystemError) -> Found? {
        var size = 1024
        while true {
            var code: Int32 = 0
            var buffer = [CChar](repeating: 0, count: size)
            let found = buffer.withUnsafeMutableBufferPointer { body($0.baseAddress!, $0.count, &code) }
            switch code {
            case 0: return found
            case EINTR: continue
            case ERANGE where size < 1 << 24: size *= 2
            // "The given name or uid was not found", in the words of several databases (getpwnam(3)).
            case ENOENT, ESRCH, EBADF, EPERM: return nil
            default: throw SystemError(call, Errno(rawValue: code), on: object)
            }
        }
    }
}
