// Which file it is, whatever its name; and who has it locked.

import Glibc

/// Device and inode of a file.
struct FileIdentity: Hashable {
    var major: UInt32
    var minor: UInt32
    var inode: UInt64

    init(major: UInt32, minor: UInt32, inode: UInt64) {
        self.major = major
        self.minor = minor
        self.inode = inode
    }

    /// Nil when it is not open.
    init?(of number: Int32) {
        var status = stat()
        guard fstat(number, &status) == 0 else { return nil }
        self.init(status)
    }

    /// Nil when nothing is there.
    init?(ofPath path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        self.init(status)
    }

    private init(_ status: stat) {
        // makedev(3): macros, which Swift does not see.
        let device = UInt64(status.st_dev)
        major = UInt32(truncatingIfNeeded: device >> 8 & 0xFFF | device >> 32 & 0xFFFF_F000)
        minor = UInt32(truncatingIfNeeded: device & 0xFF | device >> 12 & 0xFFFF_FF00)
        inode = UInt64(status.st_ino)
    }
}

/// The kernel's table of file locks, /proc/locks (proc(5)). It shows this process's PID namespace.
enum FileLocks {
    /// The process that has a file locked by flock(2).
    ///
    /// A line: `1: FLOCK  ADVISORY  WRITE 4711 08:01:262145 0 EOF`; the device in hexadecimal. Who waits has `->`.
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
}
