// Whether somebody else can write the program that this process would become.

import CPrefork
import Glibc

extension ProgramImage {
    /// What lets a user replace or change a program: the file itself, or a directory on the way to it.
    ///
    /// Links are followed: what execve(2) would run counts. The owner of a directory with the sticky bit, and of the
    /// file, can replace it, others cannot.
    ///
    /// An access list on the way counts as leave to write. Not looked at: the interpreter of a script, the loader and
    /// the libraries, and other kinds of lists (NFSv4, security modules).
    ///
    /// - Returns: the path that the user may write to; nil when there is none, and when nothing is there.
    package static func writablePart(of program: String, user: UInt32, groups: Set<UInt32>) -> String? {
        guard let resolved = realpath(program, nil) else { return nil }
        defer { free(resolved) }
        var path = String(cString: resolved)
        var child: stat?
        while true {
            var status = stat()
            guard stat(path, &status) == 0 else { return nil }
            let isOwner = status.st_uid == user
            var mayWrite =
                isOwner || status.st_mode & 0o002 != 0 || status.st_mode & 0o020 != 0 && groups.contains(status.st_gid)
            // Its entries are not read: a list is a reason to look.
            let hasList = !mayWrite && cprefork_has_access_list(path)
            mayWrite = mayWrite || hasList
            // The sticky bit keeps all but three users from renaming (inode(7)).
            let isKept = child != nil && status.st_mode & 0o1000 != 0 && !isOwner && child?.st_uid != user
            if mayWrite, !isKept { return hasList ? "\(path), which has an access list (acl(5))" : path }
            if path == "/" { return nil }
            child = status
            path = FilePlace.split(path).directory
        }
    }
}
