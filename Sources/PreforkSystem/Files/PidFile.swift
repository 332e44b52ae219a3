// A file with this process's ID, which is locked for as long as the process lives.

import Glibc

/// Why the pid file could not be taken.
package struct PidFileError: Error, Hashable, Sendable {
    /// Why the file could not be taken.
    package enum Code: Hashable, Sendable {
        /// A living process has it. Its ID comes from the kernel's table of locks, or else from the file, which may
        /// be wrong. Nil if neither has an ID.
        case held(by: Int32?)
        /// The path is not a regular file. A symbolic link is not followed.
        case notRegular
        /// Others took it and gave it back again and again meanwhile.
        case contended
        /// A system call failed.
        case system(SystemError)
    }

    /// Why the file could not be taken.
    package let code: Code
    /// The pid file's path, as it was given.
    package let path: String

    package init(_ code: Code, path: String) {
        self.code = code
        self.path = path
    }
}

extension PidFileError: CustomStringConvertible {
    package var description: String {
        switch code {
        case .held(let pid): "pid file \(path) belongs to a living process\(pid.map { ", pid \($0)" } ?? "")"
        case .notRegular: "pid file \(path) is not a regular file (a symbolic link is not followed)"
        case .contended: "pid file \(path) changed hands while this process tried to take it"
        case .system(let error): "pid file \(path): \(error)"
        }
    }
}

/// A pid file that is owned by a lock and not by its contents. A process ID that was used again would look alive
/// forever (stellar-core #652, conjur #2381), but a lock ends with its process.
///
/// The lock is an flock(2) on `PATH.lock`, mode 0600 (see `LockFile`): every user may read the pid file, and a process
/// that can read a file can lock it. Forked children inherit the lock. They must close `descriptors`, or a worker that
/// outlives its supervisor holds the path. It survives execve(2) when close-on-exec is taken off, for `adopt`.
package final class PidFile {
    package let path: String
    private let file: Descriptor
    /// Nil if it could not be taken after an upgrade from an image that had no such lock.
    private var lock: LockFile?
    private let owner: Int32
    private let isAdopted: Bool
    private var isRemoved = false

    /// Takes the path: makes the file, or takes over a file whose process is gone, whatever its contents.
    ///
    /// The file appears with its content: it is written under another name and moved to its place.
    ///
    /// - Parameter path: absolute, if the process changes its directory later.
    package static func take(_ path: String) throws(PidFileError) -> PidFile {
        let refusal: PidFileError.Code
        do throws(SystemError) {
            let place = try FilePlace(path)
            if let lock = try LockFile.take(beside: path) {
                if let reason = try obstacle(place) {
                    refusal = reason
                } else {
                    return PidFile(path: path, file: try put(place), lock: lock)
                }
            } else {
                refusal = .held(by: LockFile.holder(beside: path) ?? writtenProcess(place))
            }
        } catch {
            // Other processes took and released the lock so often that this one gave up.
            throw PidFileError(error.errno == .busy ? .contended : .system(error), path: path)
        }
        throw PidFileError(refusal, path: path)
    }

    /// The pid file of the program that this process was before execve(2).
    ///
    /// No change that another user makes to the directory lets it fail, because the previous program cannot be restored
    /// any more.
    ///
    /// - Parameter descriptors: its `descriptors` back then. They become close-on-exec. An image from before
    ///   `PATH.lock` left one descriptor. The lock is then taken now if it is available.
    package static func adopt(_ descriptors: [Int32], path: String) throws(PidFileError) -> PidFile {
        do throws(SystemError) {
            guard let file = descriptors.first else { throw SystemError("fcntl", .badDescriptor, on: path) }
            try setCloseOnExec(file)
            let lock: LockFile? =
                if descriptors.count > 1 {
                    try LockFile(adopting: descriptors[1], beside: path)
                } else {
                    // `try?` makes one optional of two.
                    (try? LockFile.take(beside: path)) ?? nil
                }
            return PidFile(path: path, file: file, lock: lock, isAdopted: true)
        } catch {
            throw PidFileError(.system(error), path: path)
        }
    }

    private init(path: String, file: Int32, lock: LockFile?, isAdopted: Bool = false) {
        self.path = path
        self.file = Descriptor(owning: file)
        self.lock = lock
        self.isAdopted = isAdopted
        owner = getpid()
    }

    deinit {
        remove()
    }

    /// For children, which close them, and for an in-place upgrade, which keeps them: the file and its lock.
    package var descriptors: [Int32] { [file.number] + (lock.map { [$0.descriptor] } ?? []) }

    /// Takes the file away, if this process made it and it still is the one at that path, and then its lock. The file
    /// stays if the previous program continues to use it when this one ends.
    ///
    /// - Returns: whether it was there and is gone. A process that has changed its root or its user may not reach it.
    @discardableResult
    package func remove() -> Bool {
        guard owner == getpid(), !isRemoved, !(isAdopted && Rollback.isOpen) else { return false }
        isRemoved = true
        defer { lock = nil }
        guard let identity = FileIdentity(of: file.number), let place = try? FilePlace(path) else { return false }
        return place.remove(if: identity)
    }

    /// What prevents a new file, or nil if the path is free.
    private static func obstacle(_ place: FilePlace) throws(SystemError) -> PidFileError.Code? {
        guard let status = place.status() else { return nil }
        guard status.kind == .regular else { return .notRegular }
        // Before `PATH.lock` the lock was on the file itself, where any user may put one: it counts only for the
        // process that the file names, and only if that one could have written the file.
        guard let holder = FileLocks.holder(of: status.identity), holder == writtenProcess(place),
            holder != getpid(), let user = realUser(of: holder), [0, geteuid()].contains(user)
        else { return nil }
        return .held(by: holder)
    }

    /// Puts a file with this process's ID at the path. The caller has the lock.
    private static func put(_ place: FilePlace) throws(SystemError) -> Int32 {
        let other = "\(place.name).\(FilePlace.randomSuffix())"
        let file = Descriptor(owning: try place.open(O_RDWR | O_CREAT | O_EXCL, mode: 0o644, name: other))
        let number = file.number
        do throws(SystemError) {
            // Whatever the umask, every user may read it.
            try systemCall("fchmod", on: place.path) { fchmod(number, 0o644) }
            // For programs from before `PATH.lock`, and for tools that read the kernel's table. Failure is harmless.
            _ = flock(number, LOCK_EX | LOCK_NB)
            let text = Array("\(getpid())\n".utf8)
            let count = try systemCall("write", on: place.path) { write(number, text, text.count) }
            guard count == text.count else { throw SystemError("write", Errno(rawValue: ENOSPC), on: place.path) }
            try place.replace(by: other)
            return file.release()
        } catch {
            place.remove(other)
            throw error
        }
    }

    private static func writtenProcess(_ place: FilePlace) -> Int32? {
        guard let number = try? place.open(O_RDONLY) else { return nil }
        let file = Descriptor(owning: number)
        guard FileStatus(of: file.number)?.kind == .regular,
            let text = try? SmallFile.read(file.number, place.path, limit: 32)
        else { return nil }
        return text.split(separator: "\n").first.flatMap { Int32($0) }.flatMap { $0 > 0 ? $0 : nil }
    }

    /// As the kernel reports it: a process that may not be traced belongs to root in /proc, whichever user runs it.
    private static func realUser(of pid: Int32) -> UInt32? {
        let text = (try? SmallFile.read("/proc/\(pid)/status")) ?? ""
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("Uid:") }) else { return nil }
        return line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { UInt32($0) }
    }
}
