// A directory that names from outside cannot leave.

import CPrefork
import Glibc
import Synchronization

/// A directory that is held open, and files below it by names that a stranger has chosen.
///
/// openat2(2) with RESOLVE_BENEATH: the kernel itself refuses each step that leads out, whichever directory is renamed
/// meanwhile. Where a kernel or a filter of system calls does not have it (ENOSYS, or EPERM by old filters), each part of
/// the path is opened by itself and no symbolic link is followed.
package final class RootDirectory: Sendable {
    /// Which symbolic links are followed.
    package enum Links: Sendable {
        case none
        /// Those that lead to what is below the directory.
        case insideRoot
    }

    /// Whether openat2(2) was refused in this process.
    private static let isRefused = Atomic(false)
    /// The kernel gives up when directories are renamed while it goes up from one (EAGAIN, openat2(2)).
    private static let attempts = 16

    private let directory: Descriptor
    private let links: Links
    private let goesByParts: Bool

    /// - Parameters:
    ///   - path: followed as it is, with its symbolic links.
    ///   - goesByParts: as where there is no openat2(2).
    /// - Throws: what prevents the directory from being opened. EINVAL for an empty path or one with a NUL byte.
    package init(_ path: String, links: Links, goesByParts: Bool = false) throws(SystemError) {
        guard !path.isEmpty, !path.utf8.contains(0) else { throw SystemError("open", .invalidArgument, on: path) }
        directory = Descriptor(owning: try systemCall("open", on: path) { cprefork_open_directory(path) })
        self.links = links
        self.goesByParts = goesByParts
    }

    /// Opens a file below it for reading. Nothing waits: neither for a FIFO's writer nor for a terminal.
    ///
    /// - Parameter parts: the names on the way, without slashes and NUL bytes. The directory itself if empty.
    /// - Throws: ENOENT, EACCES, EXDEV for a link that leads out, ELOOP for one that is not followed, ENAMETOOLONG.
    package func open(_ parts: [[UInt8]]) throws(SystemError) -> OpenedFile {
        let isSafe = parts.allSatisfy { part in
            let isDots = part.count <= 2 && part.allSatisfy { $0 == .dot }
            return !isDots && !part.contains { $0 == 0 || $0 == .slash }
        }
        guard isSafe else { throw SystemError("openat2", .noEntry, on: Self.text(parts)) }
        if !goesByParts, !Self.isRefused.load(ordering: .relaxed), let file = try openAtOnce(parts) {
            return try OpenedFile(file)
        }
        return try OpenedFile(openByParts(parts))
    }

    /// - Returns: nil where there is no openat2(2).
    private func openAtOnce(_ parts: [[UInt8]]) throws(SystemError) -> Descriptor? {
        let path = Self.path(parts)
        var attempt = 0
        while true {
            attempt += 1
            do throws(SystemError) {
                let number = try systemCall("openat2", on: Self.text(parts)) {
                    cprefork_open_beneath(directory.number, path, links == .insideRoot)
                }
                return Descriptor(owning: number)
            } catch {
                switch error.errno {
                case .again where attempt < Self.attempts: continue
                case .noSystemCall, .notPermitted:
                    Self.isRefused.store(true, ordering: .relaxed)
                    return nil
                default: throw error
                }
            }
        }
    }

    private func openByParts(_ parts: [[UInt8]]) throws(SystemError) -> Descriptor {
        var place = Descriptor(owning: try duplicate(directory.number))
        for (index, part) in (parts.isEmpty ? [[.dot]] : parts).enumerated() {
            let isLast = index >= parts.count - 1
            let flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC
            let (directory, name) = (place.number, Self.name(part))
            let number = try systemCall("openat", on: Self.text(parts)) {
                isLast ? cprefork_open_at(directory, name, flags, 0) : cprefork_open_step(directory, name)
            }
            place = Descriptor(owning: number)
        }
        return place
    }

    private static func name(_ bytes: [UInt8]) -> [CChar] { bytes.map { CChar(bitPattern: $0) } + [0] }

    private static func path(_ parts: [[UInt8]]) -> [CChar] {
        if parts.isEmpty { return name([.dot]) }
        let count = parts.reduce(parts.count) { $0 + $1.count }
        return [CChar](unsafeUninitializedCapacity: count) { memory, end in
            // Each part with a byte behind it: a slash, or at the end the terminator. Together they have `count` bytes.
            for part in parts {
                for byte in part {
                    memory[end] = CChar(bitPattern: byte)
                    end += 1
                }
                memory[end] = end == count - 1 ? 0 : CChar(bitPattern: .slash)
                end += 1
            }
        }
    }

    private static func text(_ parts: [[UInt8]]) -> String {
        String(decoding: Array(parts.joined(separator: [.slash])), as: UTF8.self)
    }
}

extension UInt8 {
    fileprivate static let dot = UInt8(ascii: ".")
    fileprivate static let slash = UInt8(ascii: "/")
}
