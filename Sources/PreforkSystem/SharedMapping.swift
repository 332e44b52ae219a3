// Memory that a process shares with the children it forks.

import Glibc

/// Zeroed memory that stays the same memory in every child forked later (MAP_SHARED | MAP_ANONYMOUS).
package struct SharedMapping: ~Copyable, @unchecked Sendable {
    // Sendable: the mapping is owned by one value; what several processes do in it is the user's layout to prove.
    package let base: UnsafeMutableRawPointer
    package let byteCount: Int

    /// - Parameter byteCount: rounded up to whole pages by the kernel; must be above zero.
    package init(byteCount: Int) throws(SystemError) {
        let pointer = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)
        guard let pointer, pointer != MAP_FAILED else {
            throw SystemError("mmap", .current, on: "\(byteCount) bytes shared")
        }
        base = pointer
        self.byteCount = byteCount
    }

    deinit {
        munmap(base, byteCount)
    }
}
