// Checks whether another user can write the program that this process would become.

import CPrefork
import Glibc

extension ProgramImage {
    /// What lets a user replace or change a program: the file itself, or a directory on the way to it.
    ///
    /// Links are followed, and each directory that contains one of them counts, too: a user who can write there decides
    /// where the link leads. The owner of a directory with the sticky bit, and of the file, can replace it, others
    /// cannot.
    ///
    /// An access list on the way counts as leave to write. Not checked: the interpreter of a script, the loader and the
    /// libraries, and other kinds of lists (NFSv4, security modules).
    ///
    /// - Parameter program: an absolute path.
    /// - Returns: the last path on the way that the user may write to. Nil if there is no such path, or no file.
    package static func writablePart(of program: String, user: UInt32, groups: Set<UInt32>) -> String? {
        guard program.hasPrefix("/") else { return nil }
        var directory = "/"
        guard var holder = status(of: directory) else { return nil }
        var found: String?
        var rest = parts(of: program)
        var links = 0
        while let name = rest.popLast() {
            if name == "." { continue }
            if name == ".." {
                directory = FilePlace.split(directory).directory
                guard let above = status(of: directory) else { return nil }
                holder = above
                continue
            }
            let path = directory == "/" ? "/\(name)" : "\(directory)/\(name)"
            guard let child = status(of: path) else { return nil }
            found = writable(directory, holder, holding: child, user: user, groups: groups) ?? found
            if child.st_mode & S_IFMT == S_IFLNK {
                links += 1
                // As many as the kernel follows (path_resolution(7)).
                guard links <= 40, let target = target(of: path) else { return nil }
                rest += parts(of: target)
                if target.hasPrefix("/") {
                    directory = "/"
                    guard let root = status(of: directory) else { return nil }
                    holder = root
                }
                continue
            }
            (directory, holder) = (path, child)
        }
        return writable(directory, holder, holding: nil, user: user, groups: groups) ?? found
    }

    /// - Parameter child: the entry of it on the way. If nil, it is the program itself.
    private static func writable(
        _ path: String, _ status: stat, holding child: stat?, user: UInt32, groups: Set<UInt32>
    ) -> String? {
        let isOwner = status.st_uid == user
        var mayWrite =
            isOwner || status.st_mode & 0o002 != 0 || status.st_mode & 0o020 != 0 && groups.contains(status.st_gid)
        // Its entries are not read: a list alone is a reason to check.
        let hasList = !mayWrite && cprefork_has_access_list(path)
        mayWrite = mayWrite || hasList
        // The sticky bit keeps all but three users from renaming (inode(7)).
        let isKept = status.st_mode & 0o1000 != 0 && !isOwner && child.map { $0.st_uid != user } ?? false
        guard mayWrite, !isKept else { return nil }
        return hasList ? "\(path), which has an access list (acl(5))" : path
    }

    /// The last one first.
    private static func parts(of path: String) -> [Substring] { path.split(separator: "/").reversed() }

    private static func status(of path: String) -> stat? {
        var status = stat()
        return lstat(path, &status) == 0 ? status : nil
    }

    private static func target(of link: String) -> String? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBytes { bytes in
            // The buffer has a base address: its capacity is not 0.
            readlink(link, bytes.baseAddress!.assumingMemoryBound(to: CChar.self), bytes.count)
        }
        return count < 0 ? nil : String(decoding: buffer[..<count], as: UTF8.self)
    }
}
