// Opening files for others, and sharing what others have open.

import CPrefork
import Glibc

package enum FileAccess: Sendable {
    case reading
    /// Made when it is not there, emptied when it is.
    case writing
    /// Made when it is not there; every write goes to its end.
    case appending

    fileprivate var flags: Int32 {
        switch self {
        case .reading: O_RDONLY
        case .writing: O_WRONLY | O_CREAT | O_TRUNC
        case .appending: O_WRONLY | O_CREAT | O_APPEND
        }
    }
}

/// Opens a file without waiting: a FIFO that nobody writes to yet reads as empty, one that nobody reads is ENXIO
/// (fifo(7)). Reads and writes then block as usual.
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

/// A descriptor of one's own to write to what `number` refers to, without a change to the open file: O_NONBLOCK would
/// be seen by everybody who has it, a shell for example.
///
/// A pipe or terminal is opened a second time by /proc, non-blocking; a regular file never makes one wait for long;
/// a socket has MSG_DONTWAIT. Where /proc refuses, writes may block.
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
