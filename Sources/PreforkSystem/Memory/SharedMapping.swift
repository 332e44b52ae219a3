// Memory that a process shares with others: the children it forks, and whoever has its descriptor.

import CPrefork
import Glibc

/// Zeroed memory that stays the same memory in every child forked later.
package struct SharedMapping: ~Copyable, @unchecked Sendable {
    // Sendable: the mapping is owned by one value; what several processes do in it is the user's layout to prove.
    package let base: UnsafeMutableRawPointer
    package let byteCount: Int

    /// Memory without a descriptor: for a process and its children, none of which can make holes in it and so have the
    /// others wait (see `MemoryFile.keepWhole`).
    ///
    /// - Parameter byteCount: rounded up to whole pages by the kernel; must be above zero.
    package init(byteCount: Int) throws(SystemError) {
        let pointer = cprefork_shared_memory(byteCount)
        guard pointer != MAP_FAILED else { throw SystemError("mmap", .current, on: "\(byteCount) bytes shared") }
        base = pointer
        self.byteCount = byteCount
    }

    /// The first `byteCount` bytes of a file in memory.
    ///
    /// MAP_NORESERVE: a page counts when it is touched, not when it is mapped.
    package init(_ file: borrowing MemoryFile, byteCount: Int) throws(SystemError) {
        try self.init(
            byteCount: byteCount, flags: MAP_SHARED | MAP_NORESERVE, file: file.descriptor.number,
            object: "\(byteCount) bytes of descriptor \(file.descriptor.number)")
    }

    /// All bytes of a file in memory in which nobody makes holes from now on, as far as this process has the rights
    /// (`MemoryFile.keepWhole`).
    package init(keepingWhole file: borrowing MemoryFile, byteCount: Int) throws(SystemError) {
        // While it is forbidden, nobody maps the file for writing; the image before may have been killed at that.
        file.keepWhole(false)
        defer { file.keepWhole(true) }
        try self.init(file, byteCount: byteCount)
    }

    /// The same bytes for this process alone: nobody else sees what it writes (MAP_PRIVATE), and what others write shows
    /// in pages that it has not written to. The file may be open for reading only.
    package init(privateCopyOf file: borrowing MemoryFile, byteCount: Int) throws(SystemError) {
        try self.init(
            byteCount: byteCount, flags: MAP_PRIVATE | MAP_NORESERVE, file: file.descriptor.number,
            object: "\(byteCount) private bytes of descriptor \(file.descriptor.number)")
    }

    private init(byteCount: Int, flags: Int32, file: Int32, object: @autoclosure () -> String) throws(SystemError) {
        let pointer = mmap(nil, byteCount, PROT_READ | PROT_WRITE, flags, file, 0)
        guard let pointer, pointer != MAP_FAILED else { throw SystemError("mmap", .current, on: object()) }
        base = pointer
        self.byteCount = byteCount
    }

    /// The bytes of another open file of that memory, for reading. Where the file is open for reading only, no call of
    /// this process makes them writable (mmap(2), VM_MAYWRITE).
    package init(reading file: Int32, byteCount: Int) throws(SystemError) {
        let pointer = mmap(nil, byteCount, PROT_READ, MAP_SHARED | MAP_NORESERVE, file, 0)
        guard let pointer, pointer != MAP_FAILED else {
            throw SystemError("mmap", .current, on: "\(byteCount) bytes of descriptor \(file), read-only")
        }
        base = pointer
        self.byteCount = byteCount
    }

    /// No child forked from here on has the mapping (MADV_DONTFORK): to touch it there is SIGSEGV. In such a child the
    /// value must never be freed, since other memory may be at its address.
    package func keepFromChildren() throws(SystemError) {
        try systemCall("madvise", on: "\(byteCount) bytes shared") { madvise(base, byteCount, MADV_DONTFORK) }
    }

    deinit {
        munmap(base, byteCount)
    }
}
