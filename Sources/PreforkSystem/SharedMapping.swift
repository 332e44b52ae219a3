// Memory that a process shares with others: the children it forks, and whoever has its descriptor.

import CPrefork
import Glibc

/// Zeroed memory that stays the same memory in every child forked later.
package struct SharedMapping: ~Copyable, @unchecked Sendable {
    // Sendable: the mapping is owned by one value; what several processes do in it is the user's layout to prove.
    package let base: UnsafeMutableRawPointer
    package let byteCount: Int

    /// Memory without a descriptor (MAP_SHARED | MAP_ANONYMOUS): for a process and its children.
    ///
    /// - Parameter byteCount: rounded up to whole pages by the kernel; must be above zero.
    package init(byteCount: Int) throws(SystemError) {
        try self.init(
            byteCount: byteCount, flags: MAP_SHARED | MAP_ANONYMOUS, file: -1, object: "\(byteCount) bytes shared")
    }

    /// The first `byteCount` bytes of a file in memory.
    ///
    /// MAP_NORESERVE: a page counts when it is touched, not when it is mapped.
    package init(_ file: borrowing MemoryFile, byteCount: Int) throws(SystemError) {
        try self.init(
            byteCount: byteCount, flags: MAP_SHARED | MAP_NORESERVE, file: file.descriptor.number,
            object: "\(byteCount) bytes of descriptor \(file.descriptor.number)")
    }

    private init(byteCount: Int, flags: Int32, file: Int32, object: @autoclosure () -> String) throws(SystemError) {
        let pointer = mmap(nil, byteCount, PROT_READ | PROT_WRITE, flags, file, 0)
        guard let pointer, pointer != MAP_FAILED else { throw SystemError("mmap", .current, on: object()) }
        base = pointer
        self.byteCount = byteCount
    }

    /// The same bytes at the same address, from now on for this process to read only. With a descriptor that is open
    /// for reading only, no call of this process makes them writable again (mmap(2), VM_MAYWRITE).
    package func becomeReadOnly(through file: Int32) throws(SystemError) {
        let pointer = mmap(base, byteCount, PROT_READ, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, file, 0)
        guard pointer != MAP_FAILED else {
            throw SystemError("mmap", .current, on: "\(byteCount) bytes of descriptor \(file), read-only")
        }
    }

    deinit {
        munmap(base, byteCount)
    }
}
