// memfd_create(2): memory with a descriptor, which travels where a pointer cannot.

import CPrefork
import Glibc

/// A file without a name, in memory. It is gone with its last descriptor and its last mapping: nothing to clean up
/// after a crash (iceoryx2 #601, #1584: named segments that a killed process left behind break the next start).
package struct MemoryFile: ~Copyable, Sendable {
    package let descriptor: Descriptor

    /// - Parameters:
    ///   - name: what /proc/self/maps shows.
    ///   - byteCount: its permanent size. No process that has the descriptor can shrink it under a reader, which would
    ///     die of SIGBUS, or grow it (F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL).
    ///   - mode: which users may open it again through /proc, even with a descriptor that only reads. The kernel's 0777
    ///     lets every user write.
    package init(name: String, byteCount: Int, mode: UInt32? = nil) throws(SystemError) {
        let file = Descriptor(owning: try systemCall("memfd_create", on: name) { cprefork_memory_file(name) })
        let number = file.number
        if let mode { try systemCall("fchmod", on: name) { fchmod(number, mode_t(mode)) } }
        try systemCall("ftruncate", on: "\(name), \(byteCount) bytes") { ftruncate(number, byteCount) }
        try systemCall("fcntl", on: "seals of \(name)") { cprefork_seal_size(number) }
        descriptor = file
    }

    /// The largest size that does not end the process that sets it (RLIMIT_FSIZE of setrlimit(2), SIGXFSZ).
    package static var sizeLimit: Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0 else { return Int.max }
        return Int(clamping: limit.rlim_cur)
    }

    /// A file that another process has made.
    package init(owning descriptor: consuming Descriptor) {
        self.descriptor = descriptor
    }

    /// The same file, open for reading only. It cannot be mapped for writing, now or by mprotect(2) later.
    ///
    /// - Throws: ENOENT where there is no /proc.
    package func reopenedForReading() throws(SystemError) -> Descriptor {
        let path = "/proc/self/fd/\(descriptor.number)"
        return Descriptor(owning: try systemCall("open", on: path) { cprefork_open(path, O_RDONLY | O_CLOEXEC, 0) })
    }

    /// Prevents every process from making holes in it, or allows that again, as far as this process has the privileges
    /// (CAP_LINUX_IMMUTABLE, Linux 6.6). Meanwhile no process can map it for writing. Existing mappings stay as they
    /// are.
    ///
    /// A process that touches a page while a hole is made there waits in the kernel (shmem_fault), and any process that
    /// has the memory mapped for writing can make holes all the time (MADV_REMOVE of madvise(2)).
    package func keepWhole(_ on: Bool) { Self.keepWhole(descriptor.number, on) }

    /// The same for a file that another object owns.
    package static func keepWhole(_ number: Int32, _ on: Bool) { cprefork_keep_whole(number, on ? 1 : 0) }

    /// Gives a part of it back: it reads as zeroes, and takes no memory (FALLOC_FL_PUNCH_HOLE of fallocate(2)).
    ///
    /// - Parameters:
    ///   - offset: a multiple of the page size.
    ///   - byteCount: likewise.
    package func zero(offset: Int, byteCount: Int) throws(SystemError) {
        let number = descriptor.number
        keepWhole(false)
        defer { keepWhole(true) }
        try systemCall("fallocate", on: "\(byteCount) bytes of descriptor \(number)") {
            cprefork_punch(number, Int64(offset), Int64(byteCount))
        }
    }

    /// Whether a descriptor is a memory file's that no process can shrink, in pages of the usual size.
    package static func isSealed(_ number: Int32) -> Bool { cprefork_is_size_sealed(number) == 1 }

    /// How large it is, provided that it cannot shrink any more.
    ///
    /// - Throws: EPERM for a file that is not sealed, because memory that another process may truncate is not safe to
    ///   map.
    package func sealedByteCount() throws(SystemError) -> Int {
        let object = "descriptor \(descriptor.number)"
        guard cprefork_is_size_sealed(descriptor.number) == 1 else {
            throw SystemError("fcntl", .notPermitted, on: object)
        }
        var status = stat()
        try systemCall("fstat", on: object) { fstat(descriptor.number, &status) }
        return Int(status.st_size)
    }
}
