// A file with this process's ID, which is locked for as long as the process lives.

import CPrefork
import Glibc

/// Why there is no pid file.
public struct PidFileError: Error, Hashable, Sendable {
    public enum Code: Hashable, Sendable {
        /// A living process has it. Its ID comes from the kernel's table of locks, or else from the file, which may
        /// be wrong; nil when neither says.
        case held(by: Int32?)
        /// The path is something other than a regular file.
        case notRegular
        /// Others took it and gave it back again and again meanwhile.
        case contended
        /// A system call failed.
        case system(SystemError)
    }

    public let code: Code
    public let path: String

    package init(_ code: Code, path: String) {
        self.code = code
        self.path = path
    }
}

extension PidFileError: CustomStringConvertible {
    public var description: String {
        switch code {
        case .held(let pid): "pid file \(path) belongs to a living process\(pid.map { ", pid \($0)" } ?? "")"
        case .notRegular: "pid file \(path) is not a regular file"
        case .contended: "pid file \(path) went from hand to hand while it was to be taken"
        case .system(let error): "pid file \(path): \(error)"
        }
    }
}

/// A pid file that is owned by a lock (flock(2)), not by what is written in it: a process ID that was used again looks
/// alive for ever (stellar-core #652, conjur #2381), a lock ends with its process.
///
/// The lock belongs to the open file, which forked children inherit: they close `descriptor`, or a worker that outlives
/// its supervisor holds the file. It survives execve(2) when close-on-exec is taken off, for `adopt`.
package final class PidFile {
    package let path: String
    private let file: Descriptor
    private let owner: Int32
    private var isRemoved = false

    /// Takes the path: makes the file, or takes over one whose process is gone, whatever is in it.
    ///
    /// The file appears with its content: it is written under another name and moved to its place.
    ///
    /// - Parameter path: absolute, if the process changes its directory later.
    package static func take(_ path: String) throws(PidFileError) -> PidFile {
        // Each turn lost means that somebody else has taken or removed the file between two calls of ours.
        for _ in 0..<64 {
            let refusal: PidFileError.Code?
            do throws(SystemError) {
                switch try openExisting(path) {
                case nil:
                    refusal = nil
                    if let file = try place(path, replacing: false) { return PidFile(path: path, file: file) }
                case .some(let stale):
                    refusal = try take(stale: stale.number, path)
                    guard refusal == nil, isAt(path, stale.number) else { break }
                    // The stale file's lock is held until it is replaced: of several who find it, one gets through.
                    if let file = try place(path, replacing: true) { return PidFile(path: path, file: file) }
                }
            } catch {
                throw PidFileError(.system(error), path: path)
            }
            if let refusal { throw PidFileError(refusal, path: path) }
        }
        throw PidFileError(.contended, path: path)
    }

    /// The pid file of the program that this process was before execve(2).
    ///
    /// - Parameter descriptor: its `descriptor` back then; becomes close-on-exec.
    package static func adopt(_ descriptor: Int32, path: String) throws(PidFileError) -> PidFile {
        let refusal: PidFileError.Code?
        do throws(SystemError) {
            try setCloseOnExec(descriptor)
            // The same open file: to lock it again changes nothing (flock(2)).
            refusal = try take(stale: descriptor, path)
        } catch {
            throw PidFileError(.system(error), path: path)
        }
        if let refusal { throw PidFileError(refusal, path: path) }
        return PidFile(path: path, file: Descriptor(owning: descriptor))
    }

    /// Locks a file that is there.
    ///
    /// - Returns: why not; nil when it is locked, or when it is no longer at the path and nobody is to blame.
    private static func take(stale number: Int32, _ path: String) throws(SystemError) -> PidFileError.Code? {
        guard isRegular(number) else { return .notRegular }
        if try lock(number, path) || !isAt(path, number) { return nil }
        return .held(by: holder(of: path))
    }

    private static func isAt(_ path: String, _ number: Int32) -> Bool {
        FileIdentity(ofPath: path) == FileIdentity(of: number)
    }

    private init(path: String, file: consuming Descriptor) {
        self.path = path
        self.file = file
        owner = getpid()
    }

    deinit {
        remove()
    }

    /// For children, which close it, and for an in-place upgrade, which keeps it.
    package var descriptor: Int32 { file.number }

    /// Takes the file away, if this process made it and it still is the one at that path. Closing it ends the lock.
    ///
    /// - Returns: whether it was there and is gone. A process that has changed its root or its user may not reach it.
    @discardableResult
    package func remove() -> Bool {
        guard owner == getpid(), !isRemoved else { return false }
        isRemoved = true
        // The lock is still held: nobody can have put another file there since this look at it, unless they broke in.
        guard Self.isAt(path, file.number) else { return false }
        return unlink(path) == 0
    }

    /// Puts a locked file with this process's ID at `path`.
    ///
    /// - Parameter replacing: the caller has locked the file that is there. Otherwise there must be none.
    /// - Returns: nil when somebody else was first.
    private static func place(_ path: String, replacing: Bool) throws(SystemError) -> Descriptor? {
        let other = "\(path).\(getpid())"
        unlink(other)
        let flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW
        let file = Descriptor(owning: try systemCall("open", on: other) { cprefork_open(other, flags, 0o644) })
        let number = file.number
        do throws(SystemError) {
            // Whatever the umask: everybody may read it.
            try systemCall("fchmod", on: other) { fchmod(number, 0o644) }
            _ = try lock(number, other)
            let text = Array("\(getpid())\n".utf8)
            let count = try systemCall("write", on: other) { write(number, text, text.count) }
            guard count == text.count else { throw SystemError("write", Errno(rawValue: ENOSPC), on: other) }
            if replacing {
                try systemCall("rename", on: path) { rename(other, path) }
                return file
            }
            // Unlike rename(2), link(2) does not replace a file that has appeared meanwhile.
            try systemCall("link", on: path) { link(other, path) }
            unlink(other)
            return file
        } catch {
            unlink(other)
            if error.call == "link", error.errno.rawValue == EEXIST { return nil }
            throw error
        }
    }

    private static func openExisting(_ path: String) throws(SystemError) -> Descriptor? {
        do throws(SystemError) {
            // O_NONBLOCK: the path may be a FIFO that nobody writes to.
            let flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY
            return Descriptor(owning: try systemCall("open", on: path) { cprefork_open(path, flags, 0) })
        } catch {
            if error.errno == .noEntry { return nil }
            throw error
        }
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

    private static func isRegular(_ number: Int32) -> Bool {
        var status = stat()
        return fstat(number, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    private static func holder(of path: String) -> Int32? {
        if let identity = FileIdentity(ofPath: path), let table = try? SmallFile.read("/proc/locks"),
            let pid = FileLocks.holder(of: identity, in: table)
        {
            return pid
        }
        let text = (try? SmallFile.read(path, limit: 32)) ?? ""
        return text.split(separator: "\n").first.flatMap { Int32($0) }.flatMap { $0 > 0 ? $0 : nil }
    }
}
