// Memory that a process shares with others: the children it forks, and every process that has its descriptor.

import CPrefork
import Glibc

/// Zeroed memory that stays the same memory in every child forked later.
package struct SharedMapping: ~Copyable, @unchecked Sendable {
    // Sendable: one value owns the mapping. The user's layout must prove that what several processes do in it is safe.
    package let base: UnsafeMutableRawPointer
    package let byteCount: Int

    /// Memory without a descriptor: for a process and its children, which cannot make holes in it and so cannot make
    /// the others wait (see `MemoryFile.keepWhole`).
    ///
    /// - Parameter byteCount: must be above zero. The kernel rounds it up to whole pages.
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

    /// Maps all bytes of a file in memory, and prevents holes in it from now on, as far as this process has the
    /// privileges (`MemoryFile.keepWhole`).
    package init(keepingWhole file: borrowing MemoryFile, byteCount: Int) throws(SystemError) {
        // While it is forbidden, no process can map the file for writing. The previous image may have been killed in
        // that state.
        file.keepWhole(false)
        defer { file.keepWhole(true) }
        try self.init(file, byteCount: byteCount)
    }

    /// The same bytes for this process alone: other processes do not see what it writes (MAP_PRIVATE), and what others
    /// write shows in pages that it has not written to. The file may be open for reading only.
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

    /// A part of a file in memory.
    ///
    /// - Parameter offset: a multiple of the page size.
    package init(_ file: borrowing MemoryFile, offset: Int, byteCount: Int) throws(SystemError) {
        let number = file.descriptor.number
        let pointer = mmap(
            nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, number, off_t(offset))
        guard let pointer, pointer != MAP_FAILED else {
            throw SystemError("mmap", .current, on: "\(byteCount) bytes of descriptor \(number)")
        }
        base = pointer
        self.byteCount = byteCount
    }

    /// In a forked child that will never free its copy of this value: nothing is mapped there any more.
    package func leaveInChild() { munmap(base, byteCount) }

    /// The mapping is another owner's now: it was moved.
    consuming func forget() { discard self }

    /// A core dump of this process does not have these bytes (MADV_DONTDUMP).
    package func keepFromDumps() { _ = madvise(base, byteCount, MADV_DONTDUMP) }

    /// No child forked from here on has the mapping (MADV_DONTFORK): to touch it there is SIGSEGV. In such a child the
    /// value must never be freed, since other memory may be at its address.
    package func keepFromChildren() throws(SystemError) {
        try systemCall("madvise", on: "\(byteCount) bytes shared") { madvise(base, byteCount, MADV_DONTFORK) }
    }

    deinit {
        munmap(base, byteCount)
    }
}
