// Eight-byte words of shared memory, each access with the ordering that it needs.

import Synchronization

/// Shared memory by byte offsets.
///
/// Proof of every access: offsets come from `StoreLayout`, which places each region inside the mapping and aligns words
/// to eight bytes, or from words of that memory after a check of their range. The mapping lives as long as its owner,
/// which hands this out.
struct SharedWords: @unchecked Sendable {
    // Sendable: all processes share the memory, and each layout states what may be read and written when.
    let base: UnsafeMutableRawPointer

    @inline(__always)
    func word(_ offset: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (base + offset).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// What was written before the store that this sees is seen after it.
    @inline(__always)
    func acquire(_ offset: Int) -> UInt64 {
        word(offset).pointee.load(ordering: .acquiring)
    }

    /// For words that only the holder of a lock writes, and for hints.
    @inline(__always)
    subscript(offset: Int) -> UInt64 {
        get { word(offset).pointee.load(ordering: .relaxed) }
        nonmutating set { word(offset).pointee.store(newValue, ordering: .relaxed) }
    }

    /// A commit: a reader that sees it sees all that was written before.
    @inline(__always)
    func release(_ offset: Int, _ value: UInt64) {
        word(offset).pointee.store(value, ordering: .releasing)
    }

    /// Counts an event. Several processes may do so at once.
    func count(_ offset: Int, by amount: UInt64 = 1) {
        word(offset).pointee.wrappingAdd(amount, ordering: .relaxed)
    }
}

/// How much `amount` is, rounded up to a multiple of `step`, which is a power of two.
func roundUp(_ amount: Int, to step: Int) -> Int {
    (amount &+ step &- 1) & ~(step &- 1)
}
