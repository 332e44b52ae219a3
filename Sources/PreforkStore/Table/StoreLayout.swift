// The layout of a store's memory.

/// Offsets and sizes of a store, computed from its capacity alone, so that every process finds the same.
///
/// | region       | size                                  | written by                          |
/// |--------------|---------------------------------------|-------------------------------------|
/// | header       | 4 KiB, see `Header`                   | the maker, counters by all          |
/// | stripes      | 512 bytes each, see `Stripe`          | the holder of the stripe's lock     |
/// | entry counts | a word for each stripe                | the same                            |
/// | unit counts  | a word for each stripe                | the same                            |
/// | step items   | 64 pairs of words for each stripe     | the same                            |
/// | overflow map | a bit for each overflow bucket        | the same                            |
/// | buckets      | 64 bytes: 7 references and a link     | the same, references are the commit |
/// | ages         | 4 bytes for each reference, if any    | readers, too                        |
/// | slab table   | 64 bytes a slab, see `SlabRecord`     | the owning stripe, claimed by CAS   |
/// | publish log  | see `PublishLog`                      | the holder of the log's lock        |
/// | slabs        | 4 KiB each: keys and values           | the owning stripe                   |
/// | guard        | 4 KiB                                 | unused: a torn length stays inside  |
package struct StoreLayout: Equatable, Sendable {
    static let slabBytes = 4096
    static let unitBytes = 1 << unitShift
    static let unitShift = 6
    static let unitsPerSlab = 1 << slabUnitShift
    static let slabUnitShift = 6
    static let slotsPerBucket = 7
    static let bucketBytes = 64
    static let stripeBytes = 512
    /// A cache line: stripes that take slabs in turn would write to one line for two of them.
    static let slabRecordBytes = 64
    static let maximumStripes = 64
    static let largestValueSlabs = EntryShape.maximumValueBytes / slabBytes + 1

    let capacity: StoreCapacity
    let evicts: Bool
    package let stripes: Int
    /// Home buckets of a stripe, a power of two.
    let homeBuckets: Int
    /// Further buckets of a stripe, linked to home buckets that are full.
    let overflowBuckets: Int
    let slabs: Int

    let stripesOffset: Int
    let entryCountsOffset: Int
    let unitCountsOffset: Int
    let itemsOffset: Int
    let overflowMapsOffset: Int
    let bucketsOffset: Int
    let agesOffset: Int
    let slabTableOffset: Int
    let logOffset: Int
    let slabsOffset: Int
    let byteCount: Int

    /// - Returns: nil for a capacity that cannot be laid out, with the reason in `error`.
    init(_ capacity: StoreCapacity, evicts: Bool) throws(StoreError) {
        guard (1...1 << 26).contains(capacity.entries) else {
            throw StoreError(.badArgument("a capacity of \(capacity.entries) entries is not within 1...\(1 << 26)"))
        }
        guard (4096...8 << 30).contains(capacity.bytes) else {
            throw StoreError(.badArgument("a capacity of \(capacity.bytes) bytes is not within 4096...\(8 << 30)"))
        }
        guard (0...1 << 30).contains(capacity.publishLog) else {
            throw StoreError(.badArgument("a publish log of \(capacity.publishLog) bytes is not within 0...\(1 << 30)"))
        }
        self.capacity = capacity
        self.evicts = evicts
        let dataSlabs = capacity.bytes / Self.slabBytes
        // A stripe is a lock: many for writers that do not meet, but each with enough entries and slabs for the hash to
        // spread them evenly.
        var stripes = 1
        while stripes < Self.maximumStripes, stripes * 2 * 64 <= capacity.entries, stripes * 2 * 64 <= dataSlabs {
            stripes *= 2
        }
        self.stripes = stripes
        var homeBuckets = 1
        while homeBuckets * stripes * 4 < capacity.entries { homeBuckets *= 2 }
        self.homeBuckets = homeBuckets
        overflowBuckets = homeBuckets / 2 + 8
        // Slab 0 is never used, so that no reference is zero. Beyond the capacity, without taking from it: for each
        // stripe a slab of each size of block that is half empty, up to 4 of 64 units that blocks of one size leave
        // over in each slab, and room for the new version of the largest value while the old one is still there.
        slabs = 1 + dataSlabs + stripes * 16 + (dataSlabs + 14) / 15 + min(dataSlabs, Self.largestValueSlabs)

        var end = 4096
        func place(_ bytes: Int) -> Int {
            defer { end = roundUp(end + bytes, to: 64) }
            return end
        }
        stripesOffset = place(stripes * Self.stripeBytes)
        entryCountsOffset = place(stripes * 8)
        unitCountsOffset = place(stripes * 8)
        itemsOffset = place(stripes * AtomicStep.maximumKeys * StepItem.byteCount)
        let buckets = stripes * (homeBuckets + overflowBuckets)
        overflowMapsOffset = place(stripes * ((overflowBuckets + 63) / 64) * 8)
        bucketsOffset = place(buckets * Self.bucketBytes)
        agesOffset = place(evicts ? buckets * Self.slotsPerBucket * 4 : 0)
        slabTableOffset = place(slabs * Self.slabRecordBytes)
        logOffset = place(PublishLogLayout.byteCount(ring: capacity.publishLog))
        end = roundUp(end, to: Self.slabBytes)
        slabsOffset = place(slabs * Self.slabBytes)
        byteCount = end + 4096
    }

    /// The capacity in units, all stripes together.
    var unitLimit: Int { capacity.bytes / Self.unitBytes }
}

/// Words of the header page, by byte offset.
enum Header {
    /// Stored last: a store is whole when it can be read.
    static let magic = 0
    static let version = 8
    static let entries = 16
    static let bytes = 24
    static let publishLog = 32
    static let evicts = 40
    /// Four random words: a peer that does not know them cannot choose keys that meet in one bucket.
    static let secrets = 48

    /// One bit for each 64th of hashes that a sleeping subscriber or watcher waits for. On a separate cache line.
    static let sleepers = 128
    /// The places of `ProcessBells` where processes sleep, one bit for each. Then whether a process without a place
    /// sleeps, the places that are still to be rung, and which `ProcessBells` they belong to.
    static let places = 136
    static let unplaced = 144
    static let pending = 152
    static let bells = 160
    /// Where the last free slab was found. On a separate cache line.
    static let slabHint = 192

    // Counters of rare events.
    static let recoveries = 256
    static let evictions = 264
    static let expirations = 272
    static let refusals = 280
    static let compactions = 288
    static let damages = 296

    static let magicValue: UInt64 = 0x5052_4546_4F52_4B53  // PREFORKS
    static let versionValue: UInt64 = 3
}
