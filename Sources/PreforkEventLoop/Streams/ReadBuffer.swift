// Bytes that have arrived and have not been read yet.

/// A buffer that is filled at the end and emptied at the front. It borrows a chunk of the loop's pool and allocates
/// only when more than a chunk must be kept.
struct ReadBuffer: ~Copyable {
    private var base: UnsafeMutableRawPointer?
    private var capacity = 0
    private var start = 0
    private var end = 0
    /// What is allocated when nothing is: a chunk of the pool, or more for a stream that has much.
    private var preferredCapacity = ChunkPool.chunkSize
    static let largeCapacity = 128 * 1024

    init() {}

    /// From the next allocation on the buffer is large and kept. For the few streams that are read in bulk.
    mutating func becomeLarge() {
        preferredCapacity = Self.largeCapacity
    }

    deinit {
        base?.deallocate()
    }

    var count: Int { end - start }

    /// The unread bytes, valid until the next change of the buffer.
    var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base.map { $0 + start }, count: count)
    }

    /// Room at the end: at least one byte, and at least `wanted` when that is more than a chunk.
    mutating func space(atLeast wanted: Int, from pool: inout ChunkPool) -> UnsafeMutableRawBufferPointer {
        if base == nil, wanted <= preferredCapacity {
            let isLarge = preferredCapacity > ChunkPool.chunkSize
            base = isLarge ? .allocate(byteCount: preferredCapacity, alignment: 16) : pool.take()
            capacity = preferredCapacity
        }
        if capacity - end < max(1, wanted) { makeRoom(for: max(wanted, ChunkPool.chunkSize / 4), pool: &pool) }
        // Without memory the capacity is 0, and `makeRoom` has allocated.
        return UnsafeMutableRawBufferPointer(start: base! + end, count: capacity - end)
    }

    mutating func commit(_ count: Int) {
        end += count
    }

    /// Puts bytes in front of those that are there.
    mutating func prepend(_ bytes: ArraySlice<UInt8>, from pool: inout ChunkPool) {
        let kept = [UInt8](self.bytes)
        consume(count)
        for part in [bytes, kept[...]] where !part.isEmpty {
            let room = space(atLeast: part.count, from: &pool)
            part.withUnsafeBytes { room.copyMemory(from: $0) }
            commit(part.count)
        }
    }

    /// Drops `count` bytes at the front. `count` must not be above `self.count`.
    mutating func consume(_ count: Int) {
        // The caller must have inspected the bytes that it consumes. Otherwise it would take later bytes for the
        // skipped ones, which is worse than a trap: request smuggling works that way.
        precondition(count >= 0 && count <= self.count, "consuming \(count) of \(self.count) bytes")
        start += count
        if start == end {
            start = 0
            end = 0
        }
    }

    /// Gives the memory back if it is empty, except the memory of a stream that has become large.
    mutating func releaseIfEmpty(to pool: inout ChunkPool) {
        guard count == 0, let base else { return }
        if preferredCapacity == Self.largeCapacity, capacity == Self.largeCapacity { return }
        if capacity == ChunkPool.chunkSize { pool.give(base) } else { base.deallocate() }
        self.base = nil
        capacity = 0
    }

    /// Moves the bytes to the front, into a larger allocation when that is not enough.
    private mutating func makeRoom(for wanted: Int, pool: inout ChunkPool) {
        let kept = count
        if capacity - kept >= wanted, let base {
            base.copyMemory(from: base + start, byteCount: kept)
        } else {
            let larger = max(capacity * 2, kept + wanted)
            let memory = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
            if let base {
                memory.copyMemory(from: base + start, byteCount: kept)
                if capacity == ChunkPool.chunkSize { pool.give(base) } else { base.deallocate() }
            }
            base = memory
            capacity = larger
        }
        start = 0
        end = kept
    }
}
