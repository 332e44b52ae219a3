// A name for a Unix socket that no other user can connect to.

import Glibc
import NIOCore

/// A path in a new directory of mode 0700. The directory and the socket are removed as soon as the socket listens: from
/// then on it has no name, and nothing can connect to it.
struct PrivateSocket: Sendable {
    private let directory: String

    /// Makes the directory in `TMPDIR`, /tmp or /dev/shm, whichever is the first that takes it.
    init() throws(IOError) {
        let wished = getenv("TMPDIR").map { String(cString: $0) }
        // unix(7): a path has 107 bytes. NIO takes 103.
        let folders = [wished, "/tmp", "/dev/shm"].compactMap { $0 }.filter { !$0.isEmpty && $0.utf8.count <= 64 }
        var reason = ENOENT
        for folder in folders {
            var template = Array("\(folder)/prefork-XXXXXX".utf8CString)
            if mkdtemp(&template) != nil {
                directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
                return
            }
            reason = errno
        }
        throw IOError(errnoCode: reason, reason: "mkdtemp for a private socket")
    }

    var path: String { directory + "/server" }

    /// Removes both. Again, or before the socket is there, it does what is left to do.
    func remove() {
        unlink(path)
        rmdir(directory)
    }
}
