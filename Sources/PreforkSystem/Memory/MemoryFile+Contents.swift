// A memory file's bytes by pwrite(2) and pread(2).

import Glibc

// Uses calls and not a mapping: a fresh mapping costs a page fault for every 4 KiB, which takes longer than the copy,
// and a file that is truncated meanwhile gives a short read, not SIGBUS.
extension MemoryFile {
    /// Writes all of `bytes` at the file's beginning.
    package func write(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
        let number = descriptor.number
        var written = 0
        while written < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[written...])
            written += try systemCall("pwrite", on: "memory file \(number)") {
                pwrite(number, rest.baseAddress, rest.count, off_t(written))
            }
        }
    }

    /// Fills `bytes` from the file's beginning.
    ///
    /// - Returns: false when the file has fewer.
    package func read(into bytes: UnsafeMutableRawBufferPointer) throws(SystemError) -> Bool {
        let number = descriptor.number
        var done = 0
        while done < bytes.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: bytes[done...])
            let count = try systemCall("pread", on: "memory file \(number)") {
                pread(number, rest.baseAddress, rest.count, off_t(done))
            }
            if count == 0 { return false }
            done += count
        }
        return true
    }
}
