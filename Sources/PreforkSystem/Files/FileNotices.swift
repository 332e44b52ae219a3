// inotify(7): what happens in directories.

import Glibc

/// Something that happened in a watched directory.
package struct FileNotice: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        /// Written and closed, made, or moved to here.
        case changed
        /// Removed, or moved away from here.
        case removed
        /// The directory is watched no longer: it is gone, or `stopWatching` was called.
        case ended
        /// More happened than the kernel could note: anything may have changed.
        case overflow
    }

    package var kind: Kind
    /// The number that `watch` returned, or -1 for `.overflow`.
    package var directory: Int32
    /// The name in the directory, without the directory's path. If empty, the event concerns the directory itself.
    package var name: String
    package var isDirectory: Bool

    package init(kind: Kind, directory: Int32, name: String = "", isDirectory: Bool = false) {
        self.kind = kind
        self.directory = directory
        self.name = name
        self.isDirectory = isDirectory
    }
}

/// Notices about directories, not about what is below their own directories.
package struct FileNotices: ~Copyable, Sendable {
    /// Readable when there are notices.
    package let descriptor: Descriptor

    package init() throws(SystemError) {
        let flags = Int32(IN_CLOEXEC | IN_NONBLOCK)
        descriptor = Descriptor(owning: try systemCall("inotify_init1") { inotify_init1(flags) })
    }

    /// - Returns: the directory's number in notices, the same for the same directory.
    /// - Throws: ENOTDIR, ENOENT, or ENOSPC when /proc/sys/fs/inotify/max_user_watches is reached.
    package func watch(_ path: String) throws(SystemError) -> Int32 {
        let events = IN_CLOSE_WRITE | IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM | IN_ONLYDIR
        return try systemCall("inotify_add_watch", on: path) {
            inotify_add_watch(descriptor.number, path, UInt32(events))
        }
    }

    package func stopWatching(_ directory: Int32) {
        _ = inotify_rm_watch(descriptor.number, directory)
    }

    /// All notices that are there now. Empty if there are no notices.
    package func read() throws(SystemError) -> [FileNotice] {
        var notices: [FileNotice] = []
        // Room for many: one read gives whole entries only, each at most a header and 256 bytes.
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let outcome = buffer.withUnsafeMutableBytes { bytes in
                Result { () throws(SystemError) in try readBytes(from: descriptor.number, into: bytes) }
            }
            guard case .bytes(let count) = try outcome.get() else { return notices }
            Self.parse(buffer[..<count], into: &notices)
        }
    }

    private static func parse(_ bytes: ArraySlice<UInt8>, into notices: inout [FileNotice]) {
        let headerSize = MemoryLayout<inotify_event>.size
        var rest = bytes
        while rest.count >= headerSize {
            let header = rest.withUnsafeBytes { $0.loadUnaligned(as: inotify_event.self) }
            rest = rest.dropFirst(headerSize)
            // The name is filled up with NUL.
            let name = String(decoding: rest.prefix(Int(header.len)).prefix { $0 != 0 }, as: UTF8.self)
            rest = rest.dropFirst(Int(header.len))
            notices.append(
                FileNotice(
                    kind: FileNotice.Kind(header.mask), directory: header.wd, name: name,
                    isDirectory: header.mask & UInt32(IN_ISDIR) != 0))
        }
    }
}

extension FileNotice.Kind {
    fileprivate init(_ mask: UInt32) {
        if mask & UInt32(IN_Q_OVERFLOW) != 0 {
            self = .overflow
        } else if mask & UInt32(IN_IGNORED) != 0 {
            self = .ended
        } else {
            self = mask & UInt32(IN_DELETE | IN_MOVED_FROM) != 0 ? .removed : .changed
        }
    }
}
