// The addresses of a store that every look-up begins with.

/// `StoreLayout`'s offsets as addresses, with what else a look-up would compute each time.
///
/// Proof of every access: arguments are in range by the layout, or were checked by `isInRange`.
struct StoreMap: Sendable {
    private let stripeMask: UInt64
    private let bucketMask: UInt64
    /// How many bytes one stripe's buckets take.
    private let bucketSpan: Int
    private let unitSpan: UInt
    private let stripes: SharedWords
    private let buckets: SharedWords
    private let slabRecords: SharedWords
    private let slabs: SharedWords

    init(_ layout: StoreLayout, at base: UnsafeMutableRawPointer) {
        stripeMask = UInt64(layout.stripes - 1)
        bucketMask = UInt64(layout.homeBuckets - 1)
        bucketSpan = (layout.homeBuckets + layout.overflowBuckets) * StoreLayout.bucketBytes
        unitSpan = UInt((layout.slabs - 1) * StoreLayout.unitsPerSlab)
        stripes = SharedWords(base: base + layout.stripesOffset)
        buckets = SharedWords(base: base + layout.bucketsOffset)
        slabRecords = SharedWords(base: base + layout.slabTableOffset)
        slabs = SharedWords(base: base + layout.slabsOffset)
    }

    /// The number of a key's stripe.
    @inline(__always)
    func stripe(_ hash: KeyHash) -> Int { Int(truncatingIfNeeded: hash.bits >> 58 & stripeMask) }

    /// A key's home bucket.
    @inline(__always)
    func bucket(_ hash: KeyHash) -> SharedWords {
        SharedWords(
            base: buckets.base + stripe(hash) &* bucketSpan
                + Int(truncatingIfNeeded: hash.bits & bucketMask) &* StoreLayout.bucketBytes)
    }

    /// The words of a stripe.
    @inline(__always)
    func stripeWords(_ stripe: Int) -> SharedWords {
        SharedWords(base: stripes.base + stripe &* StoreLayout.stripeBytes)
    }

    /// The record of a block's slab.
    @inline(__always)
    func slabRecord(ofBlock block: Int) -> SharedWords {
        SharedWords(base: slabRecords.base + (block >> StoreLayout.slabUnitShift) &* StoreLayout.slabRecordBytes)
    }

    /// A block's bytes.
    @inline(__always)
    func bytes(_ block: Int) -> UnsafeMutableRawPointer { slabs.base + block &* StoreLayout.unitBytes }

    /// Whether a reference can be one: its block begins inside the slabs. From there on, the guard after the last slab
    /// keeps every read inside the mapping.
    @inline(__always)
    func isInRange(_ reference: EntryReference) -> Bool {
        // One comparison: what is below the first wraps around.
        UInt(bitPattern: reference.block &- StoreLayout.unitsPerSlab) < unitSpan
    }
}
