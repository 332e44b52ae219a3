// Opening files for others, and sharing what others have open.

import CPrefork
import Glibc

package enum FileAccess: Sendable {
    case reading
    /// Made when it is not there, emptied when it is.
    case writing
    /// Made if it is not there. Every write goes to its end.
    case appending

    fileprivate var flags: Int32 {
        switch self {
        case .reading: O_RDONLY
        case .writing: O_WRONLY | O_CREAT | O_TRUNC
        case .appending: O_WRONLY | O_CREAT | O_APPEND
        }
    }
}

/// Opens a file without waiting: a FIFO without a writer reads as empty, and opening a FIFO without a reader fails with
/// ENXIO (fifo(7)). Reads and writes then block as usual.
///
/// - Parameter path: bytes without NUL.
package func openFile(_ path: [UInt8], for access: FileAccess, mode: UInt32 = 0o666) throws(SystemError) -> Int32 {
    let flags = access.flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK
    let name = path.map { CChar(bitPattern: $0) } + [0]
    let number = try systemCall("open", on: String(decoding: path, as: UTF8.self)) {
        cprefork_open(name, flags, mode_t(mode))
    }
    _ = cprefork_fcntl(number, F_SETFL, cprefork_fcntl(number, F_GETFL, 0) & ~O_NONBLOCK)
    return number
}

/// What a descriptor is, as far as non-blocking writes care.
package enum SharedFile: Sendable {
    case socket(Int32)
    case stream(Int32)
    case regular(Int32)
}

/// A separate descriptor to write to what `number` refers to. The open file stays unchanged, because every process that
/// shares it, such as a shell, would see O_NONBLOCK.
///
/// A pipe or terminal is opened a second time through /proc, non-blocking. A regular file never blocks for long, and a
/// socket has MSG_DONTWAIT. If /proc refuses, writes may block.
package func openShared(_ number: Int32) throws(SystemError) -> SharedFile {
    var status = stat()
    try systemCall("fstat", on: "descriptor \(number)") { fstat(number, &status) }
    let type = status.st_mode & S_IFMT
    if type == S_IFIFO || type == S_IFCHR {
        let again = cprefork_open("/proc/self/fd/\(number)", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0)
        if again >= 0 { return .stream(again) }
    }
    let copy = try systemCall("fcntl", on: "descriptor \(number)") { cprefork_fcntl(number, F_DUPFD_CLOEXEC, 3) }
    return type == S_IFSOCK ? .socket(copy) : .regular(copy)
}

/// A second number for the same open file, close-on-exec.
package func duplicate(_ number: Int32) throws(SystemError) -> Int32 {
    try systemCall("fcntl", on: "descriptor \(number)") { cprefork_fcntl(number, F_DUPFD_CLOEXEC, 0) }
}
