// Files of /proc and /sys, read whole.

import CPrefork
import Glibc

package enum SmallFile {
    /// The file as text, or its beginning.
    ///
    /// - Parameter limit: about so many bytes at most. No file that this package reads whole comes near the default, so
    ///   a larger file is not the expected one.
    package static func read(_ path: String, limit: Int = 1 << 20) throws(SystemError) -> String {
        // O_NONBLOCK: if it is a FIFO after all, the open must not wait for a writer.
        let flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY
        let file = Descriptor(owning: try systemCall("open", on: path) { cprefork_open(path, flags, 0) })
        return try read(file.number, path, limit: limit)
    }

    static func read(_ file: Int32, _ path: String, limit: Int) throws(SystemError) -> String {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: min(limit, 4096))
        while bytes.count < limit {
            let count = try systemCall("read", on: path) { Glibc.read(file, &chunk, chunk.count) }
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
