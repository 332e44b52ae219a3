// A name in a directory that is held open: a chain of calls on one path that no link can lead astray.

import CPrefork
import Glibc

/// The last part of a path, and its directory.
///
/// A user with write access to a directory can put a symbolic link at any name in it between two calls. The directories
/// that lead to a path are the operator's and are followed. The last part is never followed here: each call acts on the
/// name in this very directory, or fails.
///
/// Made for one chain of calls and closed after it: a process that inherited such a descriptor could leave its chroot.
final class FilePlace: Sendable {
    let path: String
    let name: String
    private let directory: Descriptor

    /// - Throws: what prevents the directory from being opened, EISDIR for a path that ends with `/`, `.` or `..`,
    ///   EINVAL for an empty path or one with a NUL byte.
    init(_ path: String) throws(SystemError) {
        guard !path.isEmpty, !path.utf8.contains(0) else { throw SystemError("open", .invalidArgument, on: path) }
        let parts = Self.split(path)
        guard !["", ".", ".."].contains(parts.name) else {
            throw SystemError("open", Errno(rawValue: EISDIR), on: path)
        }
        self.path = path
        name = parts.name
        directory = Descriptor(owning: try systemCall("open", on: path) { cprefork_open_directory(parts.directory) })
    }

    static func split(_ path: String) -> (directory: String, name: String) {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return (".", path) }
        let directory = slash == path.utf8.startIndex ? "/" : String(path[..<slash])
        return (directory, String(path[path.utf8.index(after: slash)...]))
    }

    /// For calls that take a directory.
    var number: Int32 { directory.number }

    /// What is at the name now, or nil if the name is free. A symbolic link is reported as a link.
    func status(_ other: String? = nil) -> FileStatus? {
        var status = stat()
        guard fstatat(directory.number, other ?? name, &status, AT_SYMLINK_NOFOLLOW) == 0 else { return nil }
        return FileStatus(status)
    }

    func identity(_ other: String? = nil) -> FileIdentity? { status(other)?.identity }

    /// A directory with the set-group-ID bit gives its own (inode(7)).
    var groupOfNewFiles: UInt32 {
        guard let status = FileStatus(of: directory.number), status.mode & 0o2000 != 0 else { return getegid() }
        return status.group
    }

    /// - Throws: why this process cannot put a new name there, as `call` would: EACCES, EROFS.
    func checkMayWrite(for call: StaticString, on object: String) throws(SystemError) {
        try systemCall(call, on: object) { faccessat(directory.number, ".", W_OK | X_OK, AT_EACCESS) }
    }

    /// openat(2) with O_NOFOLLOW, O_CLOEXEC, O_NOCTTY and O_NONBLOCK: neither a link nor a FIFO at the name does harm.
    ///
    /// - Throws: ELOOP with words for a symbolic link.
    func open(_ flags: Int32, mode: UInt32 = 0, name other: String? = nil) throws(SystemError) -> Int32 {
        let all = flags | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK
        do throws(SystemError) {
            return try systemCall("open", on: path) {
                cprefork_open_at(directory.number, other ?? name, all, mode_t(mode))
            }
        } catch where error.errno.rawValue == ELOOP {
            throw SystemError("open", error.errno, on: "\(path): a symbolic link, which is not followed")
        }
    }

    /// Gives `other` this place's name, if it is free.
    ///
    /// - Returns: false when something is there.
    func take(nameOf other: String) throws(SystemError) -> Bool {
        do throws(SystemError) {
            try systemCall("link", on: path) { cprefork_give_name(directory.number, other, name) }
            return true
        } catch {
            if error.errno.rawValue == EEXIST { return false }
            throw error
        }
    }

    /// Replaces the file at the name by `other`, in one step.
    func replace(by other: String) throws(SystemError) {
        try systemCall("rename", on: path) { renameat(directory.number, other, directory.number, name) }
    }

    @discardableResult
    func remove(_ other: String? = nil) -> Bool {
        unlinkat(directory.number, other ?? name, 0) == 0
    }

    /// Removes the name while it stands for this file. The two steps are atomic only under a lock that every process
    /// takes.
    func remove(if identity: FileIdentity) -> Bool {
        self.identity() == identity && remove()
    }

    /// Changes the mode of this very file, if the name still stands for it.
    ///
    /// - Returns: false when something else is there.
    func changeMode(_ mode: UInt32, of identity: FileIdentity) throws(SystemError) -> Bool {
        let place = cprefork_open_place(directory.number, name)
        guard place >= 0 else { return false }
        let held = Descriptor(owning: place)
        guard FileIdentity(of: held.number) == identity else { return false }
        try systemCall("fchmodat2", on: path) { cprefork_change_mode(held.number, mode_t(mode & 0o777)) }
        return true
    }

    /// Changes the owner of this very file, if the name still stands for it.
    ///
    /// - Returns: false when something else is there.
    func changeOwner(_ owner: SocketOwner.Numbers, of identity: FileIdentity) throws(SystemError) -> Bool {
        let place = cprefork_open_place(directory.number, name)
        guard place >= 0 else { return false }
        let held = Descriptor(owning: place)
        guard FileIdentity(of: held.number) == identity else { return false }
        try changeOwner(of: held.number, to: owner)
        return true
    }

    /// Gives a socket that this process has bound at a private name in this directory to another owner.
    ///
    /// The directory's owner can have put another file at the name. A socket that has its only name in this directory
    /// and belongs to this process's user cannot be a file from elsewhere, which would have its name there, too.
    ///
    /// - Throws: ENOENT when it is something else.
    func giveAway(_ other: String, to owner: SocketOwner.Numbers) throws(SystemError) {
        let place = cprefork_open_place(directory.number, other)
        let held = Descriptor(owning: place)
        guard place >= 0, let status = FileStatus(of: held.number), status.kind == .socket, status.links == 1,
            status.owner == geteuid()
        else { throw SystemError("fchownat", .noEntry, on: "\(path): its private name was taken away") }
        try changeOwner(of: held.number, to: owner)
    }

    private func changeOwner(of held: Int32, to owner: SocketOwner.Numbers) throws(SystemError) {
        try systemCall("fchownat", on: path) { cprefork_change_owner(held, owner.user, owner.group) }
    }

    /// An unpredictable name beside it, for a file that gets its final name once it is complete.
    static func randomSuffix() -> String {
        let digits = String(UInt32.random(in: .min ... .max), radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }
}
