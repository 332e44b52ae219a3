// A file's identity regardless of its name, its kind, and the process that has it locked.

import CPrefork
import Glibc

/// Device and inode of a file.
package struct FileIdentity: Hashable, Sendable {
    var major: UInt32
    var minor: UInt32
    var inode: UInt64

    init(major: UInt32, minor: UInt32, inode: UInt64) {
        self.major = major
        self.minor = minor
        self.inode = inode
    }

    /// Nil when it is not open.
    package init?(of number: Int32) {
        guard let status = FileStatus(of: number) else { return nil }
        self = status.identity
    }

    fileprivate init(_ status: stat) {
        self.init(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    }

    private init(device: UInt64, inode: UInt64) {
        // makedev(3): macros, which Swift does not see.
        major = UInt32(truncatingIfNeeded: device >> 8 & 0xFFF | device >> 32 & 0xFFFF_F000)
        minor = UInt32(truncatingIfNeeded: device & 0xFF | device >> 12 & 0xFFFF_FF00)
        self.inode = inode
    }

    /// The value of JOURNAL_STREAM: the device's number and the inode's, both decimal.
    init?(journalStream text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let device = UInt64(parts[0]), let inode = UInt64(parts[1]) else { return nil }
        self.init(device: device, inode: inode)
    }
}

extension FileIdentity {
    /// As text for the next image of this program.
    package var text: String { "\(major):\(minor):\(inode)" }

    init?(text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 3, let major = UInt32(parts[0]), let minor = UInt32(parts[1]),
            let inode = UInt64(parts[2])
        else { return nil }
        self.init(major: major, minor: minor, inode: inode)
    }
}

/// What stat(2) says of a file, as far as trust in it needs.
struct FileStatus: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        case regular, directory, symbolicLink, socket, pipe, characterDevice, other
    }

    var identity: FileIdentity
    var kind: Kind
    /// The permission bits.
    var mode: UInt32
    var owner: UInt32
    var group: UInt32
    /// How many names it has.
    var links: Int

    /// Nil when it is not open.
    init?(of number: Int32) {
        var status = stat()
        guard fstat(number, &status) == 0 else { return nil }
        self.init(status)
    }

    init(_ status: stat) {
        identity = FileIdentity(status)
        kind =
            switch status.st_mode & S_IFMT {
            case S_IFREG: .regular
            case S_IFDIR: .directory
            case S_IFLNK: .symbolicLink
            case S_IFSOCK: .socket
            case S_IFIFO: .pipe
            case S_IFCHR: .characterDevice
            default: .other
            }
        mode = UInt32(status.st_mode) & 0o7777
        owner = status.st_uid
        group = status.st_gid
        links = Int(status.st_nlink)
    }
}

/// The kernel's table of file locks, /proc/locks (proc(5)). It shows this process's PID namespace.
enum FileLocks {
    /// The process that has a file locked by flock(2).
    ///
    /// A line: `1: FLOCK  ADVISORY  WRITE 4711 08:01:262145 0 EOF`, with the device in hexadecimal. A waiting process
    /// has `->`.
    static func holder(of file: FileIdentity, in table: String) -> Int32? {
        for line in table.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count >= 6, fields[1] == "FLOCK", let pid = Int32(fields[4]), pid > 0 else { continue }
            let place = fields[5].split(separator: ":")
            guard place.count == 3, UInt32(place[0], radix: 16) == file.major,
                UInt32(place[1], radix: 16) == file.minor,
                UInt64(place[2]) == file.inode
            else { continue }
            return pid
        }
        return nil
    }

    static func holder(of file: FileIdentity) -> Int32? {
        (try? SmallFile.read("/proc/locks")).flatMap { holder(of: file, in: $0) }
    }
}
