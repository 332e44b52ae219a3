// Lock files: which process may take over a path.

import CPrefork
import Glibc

/// An flock(2) on `PATH.lock`, a file of mode 0600 of this process's user.
///
/// flock needs no right to write: a process that can open a file for reading can lock it. So the lock is never on a
/// file that others may read. The directory may belong to another user, who can put anything at that name. A file is
/// refused with an explanation if it is not this user's, has other names, can be opened by other users, or is not a
/// regular file. The lock neither waits for such a file nor changes it.
///
/// The holder removes the file while it is locked. A process that has locked a file which is no longer at the path
/// tries again. Thus only a kill leaves a file behind, and the next holder uses that file.
///
/// The lock belongs to the open file, which forked children inherit and must close, and which survives execve(2) when
/// close-on-exec is taken off.
final class LockFile: Sendable {
    let path: String
    private let file: Descriptor
    private let owner: pid_t
    private let isAdopted: Bool

    /// - Parameters:
    ///   - path: what is locked. The lock file is `path` with `.lock` appended.
    ///   - patience: how long another process may hold it.
    /// - Returns: nil when another process has it.
    /// - Throws: EPERM or ELOOP if the object at the path cannot be trusted, with what it is.
    static func take(beside path: String, patience: Duration = .zero) throws(SystemError) -> LockFile? {
        let place = try FilePlace(path + ".lock")
        let deadline = MonotonicInstant.now + patience
        var races = 0
        while true {
            let file = Descriptor(owning: try open(place))
            let status = try check(file.number, place)
            if try lock(file.number, place.path) {
                if status.links == 1, place.identity() == status.identity {
                    return LockFile(path: place.path, file: file.release())
                }
                // Removed by its last holder, or by the directory's owner.
                races += 1
                guard races < 1_000 else {
                    throw SystemError("flock", .busy, on: "\(place.path) is removed again and again")
                }
            } else {
                guard MonotonicInstant.now < deadline else { return nil }
                usleep(2_000)
            }
        }
    }

    /// The lock of the program that this process was before execve(2).
    ///
    /// - Parameter number: its `descriptor` back then. It becomes close-on-exec.
    init(adopting number: Int32, beside path: String) throws(SystemError) {
        self.path = path + ".lock"
        file = Descriptor(owning: number)
        owner = getpid()
        isAdopted = true
        try setCloseOnExec(number)
    }

    private init(path: String, file: Int32) {
        self.path = path
        self.file = Descriptor(owning: file)
        owner = getpid()
        isAdopted = false
    }

    deinit {
        // The previous program continues to use it if this one ends.
        if isAdopted, Rollback.isOpen { return }
        guard owner == getpid(), let identity = FileIdentity(of: file.number) else { return }
        _ = (try? FilePlace(path))?.remove(if: identity)
    }

    /// For children, which close it, and for an in-place upgrade, which keeps it.
    var descriptor: Int32 { file.number }

    /// The process that holds the lock of a path, by the kernel's table.
    static func holder(beside path: String) -> Int32? {
        guard let place = try? FilePlace(path + ".lock"), let identity = place.identity() else { return nil }
        return FileLocks.holder(of: identity)
    }

    /// Without O_CREAT first: with it, a file of another user in a directory like /tmp is EACCES even for root
    /// (fs.protected_regular), which would hide the cause.
    private static func open(_ place: FilePlace) throws(SystemError) -> Int32 {
        for _ in 0..<64 {
            do throws(SystemError) {
                return try place.open(O_RDWR)
            } catch where error.errno == .noEntry {
                do throws(SystemError) {
                    let number = try place.open(O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
                    // Whatever the umask.
                    _ = fchmod(number, 0o600)
                    return number
                } catch where error.errno.rawValue == EEXIST {
                    continue
                }
            }
        }
        throw SystemError("open", .busy, on: "\(place.path) is created and removed again and again")
    }

    private static func check(_ number: Int32, _ place: FilePlace) throws(SystemError) -> FileStatus {
        guard let status = FileStatus(of: number) else { throw SystemError("fstat", .current, on: place.path) }
        let problem: String? =
            if status.kind != .regular {
                "is not a regular file"
            } else if ![0, geteuid()].contains(status.owner) {
                "belongs to user \(status.owner)"
            } else if status.links > 1 {
                "has \(status.links) names"
            } else if status.mode & 0o077 != 0 {
                "can be opened by other users"
            } else {
                nil
            }
        if let problem {
            throw SystemError(
                "flock", .notPermitted,
                on: "\(place.path) \(problem): remove it, and let no other user write to its directory")
        }
        return status
    }

    private static func lock(_ number: Int32, _ path: String) throws(SystemError) -> Bool {
        do throws(SystemError) {
            try systemCall("flock", on: path) { flock(number, LOCK_EX | LOCK_NB) }
            return true
        } catch {
            if error.errno == .wouldBlock { return false }
            throw error
        }
    }
}
