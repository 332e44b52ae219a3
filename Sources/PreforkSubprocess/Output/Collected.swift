// Output that is kept in memory.

import PreforkSystem

/// The first bytes of an output, up to a limit. Used on the loop until the output is complete, then by any caller.
final class Collected {
    private let limit: Int
    let overflow: Command.Overflow
    private(set) var isTruncated = false
    private var memory: UnsafeMutableRawPointer?
    private var capacity = 0
    private var count = 0

    init(limit: Int, overflow: Command.Overflow) {
        self.limit = min(limit, .max - 1)
        self.overflow = overflow
    }

    deinit {
        memory?.deallocate()
    }

    var bytes: [UInt8] { [UInt8](UnsafeRawBufferPointer(start: memory, count: count)) }

    /// Room for more, at least one byte: up to the limit, and one byte beyond it to see that it is exceeded.
    /// Must not be called when the output is truncated.
    func space() -> UnsafeMutableRawBufferPointer {
        if count == capacity { grow() }
        return UnsafeMutableRawBufferPointer(start: memory.map { $0 + count }, count: capacity - count)
    }

    /// Memory follows what has really come, whatever the limit is: 16 KiB, then twice as much each time.
    private func grow() {
        let larger = min(max(16 * 1024, capacity * 2), limit + 1)
        let grown = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
        if let memory {
            grown.copyMemory(from: memory, byteCount: count)
            memory.deallocate()
        }
        memory = grown
        capacity = larger
    }

    /// Counts bytes that were written into `space`.
    ///
    /// - Returns: false when they exceed the limit: what is beyond it is dropped, and so is all that follows.
    func commit(_ added: Int) -> Bool {
        count += added
        guard count > limit else { return true }
        count = limit
        isTruncated = true
        return false
    }

    /// Takes a copy of bytes. The result is the one `commit` returns.
    func append(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var rest = bytes
        while !rest.isEmpty {
            let space = space()
            let part = UnsafeRawBufferPointer(rebasing: rest.prefix(space.count))
            space.copyMemory(from: part)
            guard commit(part.count) else { return false }
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(part.count))
        }
        return true
    }
}
