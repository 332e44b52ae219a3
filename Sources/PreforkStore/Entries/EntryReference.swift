// The word that says where an entry is. Storing it is the commit of every change.

/// A reference out of a bucket: | fingerprint 8 | pending 1 | version 27 | block 28 |.
///
/// - block: the entry's first unit of 64 bytes, counted from the first slab, or 0 for no entry.
/// - version: increases by one with every change of this place in the bucket, also when an entry leaves it. A reader
///   that finds the same word before and after it has copied a value has copied a whole one. To be wrong it would have
///   to sleep through exactly 2^27 changes of this one place, which take some seconds.
/// - pending: a step of several keys is about to replace this reference. See `StoreTable.resolve`.
struct EntryReference: Equatable {
    var bits: UInt64

    static let pendingBit: UInt64 = 1 << 55

    @inline(__always)
    init(bits: UInt64) {
        self.bits = bits
    }

    @inline(__always)
    var block: Int { Int(truncatingIfNeeded: bits & 0xFFF_FFFF) }

    @inline(__always)
    var isEmpty: Bool { bits & 0xFFF_FFFF == 0 }

    @inline(__always)
    var isPending: Bool { bits & Self.pendingBit != 0 }

    @inline(__always)
    var fingerprint: UInt64 { bits >> 56 }

    /// Whether it is not pending and has this fingerprint: both in one comparison.
    @inline(__always)
    func isSettled(_ fingerprint: UInt64) -> Bool { bits >> 55 == fingerprint &<< 1 }

    /// What follows this reference in its place.
    @inline(__always)
    func successor(block: Int, fingerprint: UInt64) -> EntryReference {
        let version = ((bits >> 28) &+ 1) & 0x7FF_FFFF
        return EntryReference(bits: fingerprint << 56 | version << 28 | UInt64(truncatingIfNeeded: block))
    }

    /// As `successor`, for the fingerprint that this reference has. It must be settled.
    @inline(__always)
    func successor(sameKeyIn block: Int) -> EntryReference {
        // A version that overflows runs into the pending bit, which no reference of a single key has.
        let next = ((bits & ~0xFFF_FFFF) &+ (1 << 28)) & ~Self.pendingBit
        return EntryReference(bits: next | UInt64(truncatingIfNeeded: block))
    }

    /// What follows when the entry goes.
    @inline(__always)
    var emptied: EntryReference { successor(block: 0, fingerprint: 0) }

    var settled: EntryReference { EntryReference(bits: bits & ~Self.pendingBit) }
}
