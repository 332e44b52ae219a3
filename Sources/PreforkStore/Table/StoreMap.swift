// The map of a store: where its stripes, buckets, slabs and blocks are, by address and by offset.

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

/// The same by offset. Arguments are in range by the layout. Numbers out of shared memory are checked where they are
/// read.
extension StoreTable {
    @inline(__always)
    func stripeOffset(_ stripe: Int) -> Int { layout.stripesOffset &+ stripe &* StoreLayout.stripeBytes }

    @inline(__always)
    func homeBucket(_ hash: KeyHash) -> Int {
        bucket(hash.stripe(of: layout.stripes), hash.bucket(of: layout.homeBuckets))
    }

    /// The offset of a stripe's bucket. Overflow buckets come after the home buckets.
    @inline(__always)
    func bucket(_ stripe: Int, _ index: Int) -> Int {
        layout.bucketsOffset &+ (stripe &* bucketsPerStripe &+ index) &* StoreLayout.bucketBytes
    }

    /// The bucket that a bucket's link names. Nil at the end of the chain, or if the link is damaged.
    @inline(__always)
    func linkedBucket(_ bucket: Int, stripe: Int) -> Int? {
        let link = Int(truncatingIfNeeded: memory.acquire(bucket &+ BucketWord.link))
        if link == 0 || link < 0 || link > layout.overflowBuckets { return nil }
        return self.bucket(stripe, layout.homeBuckets &+ link &- 1)
    }

    @inline(__always)
    func slabRecord(_ slab: Int) -> Int { layout.slabTableOffset &+ slab &* StoreLayout.slabRecordBytes }

    /// Where a block's bytes are.
    @inline(__always)
    func blockBytes(_ block: Int) -> UnsafeMutableRawPointer { map.bytes(block) }

    @inline(__always)
    func slabBytes(_ slab: Int) -> UnsafeMutableRawPointer { map.bytes(slab &* StoreLayout.unitsPerSlab) }

    @inline(__always)
    func isInRange(_ reference: EntryReference) -> Bool { map.isInRange(reference) }
}
