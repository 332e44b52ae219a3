// Where an entry is: finding it in a stripe's buckets, and the buckets themselves.

/// Where an entry is or would be.
struct EntryPlace {
    /// Offset of the reference, or nil if the chain is full and needs another bucket.
    var slot: Int?
    var reference: EntryReference
    /// The existing entry, or nil for a new one.
    var view: EntryView?
}

/// An entry of the plainest kind: no step under way, without expiry, in one piece.
struct PlainEntry {
    /// Where its reference is.
    let slot: SharedWords
    let reference: EntryReference
    let bytes: UnsafeMutableRawPointer
    /// As `EntryView.lengths` has them.
    let lengths: UInt64

    @inline(__always)
    var valueBytes: Int { EntryView.valueBytes(lengths) }

    @inline(__always)
    var kindBits: UInt8 { UInt8(truncatingIfNeeded: lengths >> 16) }
}

/// Words of a bucket, by byte offset. Seven references come before the link.
enum BucketWord {
    static let link = 56
}

/// Finding a plain entry without a lock, for readers and for the short ways of writing.
extension StoreTable {
    /// The entry of a key, if it is plain. Nil is no statement about the key. For a reader, its lengths are unverified
    /// until `isStill`.
    ///
    /// - Parameter hasKey: whether an address has the key.
    @inline(__always)
    func plainEntry(
        _ hash: KeyHash, _ keyBytes: Int, _ hasKey: (UnsafeMutableRawPointer) -> Bool
    ) -> PlainEntry? {
        var (slot, reference) = likelySlot(hash)
        guard isInRange(reference) else { return nil }
        var bytes = map.bytes(reference.block)
        if SharedWords(base: bytes)[EntryHeader.hash] != hash.bits {
            guard let found = searchSlot(hash) else { return nil }
            slot = SharedWords(base: found)
            reference = EntryReference(bits: slot.acquire(0))
            guard isInRange(reference) else { return nil }
            bytes = map.bytes(reference.block)
            guard SharedWords(base: bytes)[EntryHeader.hash] == hash.bits else { return nil }
        }
        return plainEntry(slot, reference, bytes, keyBytes, hasKey)
    }

    /// As `plainEntry`, where the first place with the fingerprint is the key's. It calls nothing: a function that calls
    /// nothing else either saves no registers.
    @inline(__always)
    func plainEntryAtFirstSight(
        _ hash: KeyHash, _ keyBytes: Int, _ hasKey: (UnsafeMutableRawPointer) -> Bool
    ) -> PlainEntry? {
        let (slot, reference) = likelySlot(hash)
        guard isInRange(reference) else { return nil }
        let bytes = map.bytes(reference.block)
        guard SharedWords(base: bytes)[EntryHeader.hash] == hash.bits else { return nil }
        return plainEntry(slot, reference, bytes, keyBytes, hasKey)
    }

    @inline(__always)
    private func plainEntry(
        _ slot: SharedWords, _ reference: EntryReference, _ bytes: UnsafeMutableRawPointer, _ keyBytes: Int,
        _ hasKey: (UnsafeMutableRawPointer) -> Bool
    ) -> PlainEntry? {
        let words = SharedWords(base: bytes)
        let lengths = words[EntryHeader.lengths]
        guard !reference.isPending, words[EntryHeader.expiry] == 0,
            Int(truncatingIfNeeded: lengths & 0xFFFF) == keyBytes, hasKey(bytes + EntryShape.headerBytes)
        else { return nil }
        return PlainEntry(slot: slot, reference: reference, bytes: bytes, lengths: lengths)
    }

    /// The first place of the home bucket with the fingerprint of `hash`, which may belong to another key, or the last
    /// place if the fingerprint is not there.
    @inline(__always)
    private func likelySlot(_ hash: KeyHash) -> (SharedWords, EntryReference) {
        let bucket = map.bucket(hash)
        var slot = SharedWords(base: bucket.base + hash.preferredPlace)
        var reference = EntryReference(bits: slot.acquire(0))
        if reference.isSettled(hash.fingerprint) { return (slot, reference) }
        let last = bucket.base + (StoreLayout.slotsPerBucket &- 1) &* 8
        slot = bucket
        while true {
            reference = EntryReference(bits: slot.acquire(0))
            if reference.isSettled(hash.fingerprint) || slot.base == last { return (slot, reference) }
            slot = SharedWords(base: slot.base + 8)
        }
    }

    /// Where an entry of this very hash is in its whole chain, or nil if it is missing.
    @inline(never)
    private func searchSlot(_ hash: KeyHash) -> UnsafeMutableRawPointer? {
        var bucket = homeBucket(hash)
        for _ in 0...layout.overflowBuckets {
            for index in 0..<StoreLayout.slotsPerBucket {
                let slot = bucket &+ index &* 8
                let reference = EntryReference(bits: memory.acquire(slot))
                if reference.isSettled(hash.fingerprint), isInRange(reference),
                    SharedWords(base: map.bytes(reference.block))[EntryHeader.hash] == hash.bits
                {
                    return memory.base + slot
                }
            }
            guard let next = linkedBucket(bucket, stripe: map.stripe(hash)) else { return nil }
            bucket = next
        }
        return nil
    }
}

/// Finding and freeing places, by the holder of the stripe's lock.
extension StoreTable {
    /// The place of the entry of `key`, or the place where it could be if it is missing.
    @inline(__always)
    func locate(_ key: UnsafeRawBufferPointer, _ hash: KeyHash) -> EntryPlace {
        locate(key, hash) { _ in false }
    }

    /// As `locate`.
    ///
    /// - Parameter isTaken: whether other code has plans for a free place.
    @inline(__always)
    func locate(_ key: UnsafeRawBufferPointer, _ hash: KeyHash, _ isTaken: (Int) -> Bool) -> EntryPlace {
        let stripe = hash.stripe(of: layout.stripes)
        let fingerprint = hash.fingerprint
        var free: Int?
        var bucket = homeBucket(hash)
        let preferred = bucket &+ hash.preferredPlace
        if EntryReference(bits: memory[preferred]).isEmpty, !isTaken(preferred) { free = preferred }
        for _ in 0...layout.overflowBuckets {
            for index in 0..<StoreLayout.slotsPerBucket {
                let slot = bucket &+ index &* 8
                let reference = EntryReference(bits: memory[slot])
                if reference.isEmpty {
                    if free == nil, !isTaken(slot) { free = slot }
                } else if reference.fingerprint == fingerprint, let view = EntryView(self, reference),
                    view.hasKey(key, hash)
                {
                    return EntryPlace(slot: slot, reference: reference, view: view)
                }
            }
            guard let next = linkedBucket(bucket, stripe: stripe) else { break }
            bucket = next
        }
        return EntryPlace(slot: free, reference: EntryReference(bits: free.map { memory[$0] } ?? 0), view: nil)
    }

    /// Adds a bucket to the chain of `hash` and returns its first place, or nil if the stripe has no bucket left.
    ///
    /// The new bucket's references are empty, whatever their versions: linking it publishes nothing.
    func extendChain(_ hash: KeyHash) -> Int? {
        let stripe = hash.stripe(of: layout.stripes)
        guard let index = takeOverflowBucket(stripe) else { return nil }
        var bucket = homeBucket(hash)
        for _ in 0...layout.overflowBuckets {
            guard let next = linkedBucket(bucket, stripe: stripe) else { break }
            bucket = next
        }
        let new = self.bucket(stripe, layout.homeBuckets + index)
        memory[new + BucketWord.link] = 0
        memory.release(bucket + BucketWord.link, UInt64(index + 1))
        return new
    }

    /// Takes emptied buckets off the end of the chain of `hash`.
    ///
    /// Off the end only: a reader that stands in a bucket which is used again elsewhere then misses nothing that was
    /// behind it.
    func trimChain(_ hash: KeyHash) {
        let stripe = hash.stripe(of: layout.stripes)
        var chain = [homeBucket(hash)]
        while chain.count <= layout.overflowBuckets, let next = linkedBucket(chain[chain.count - 1], stripe: stripe) {
            chain.append(next)
        }
        while chain.count > 1, let last = chain.popLast(), isEmptyBucket(last) {
            let link = memory[chain[chain.count - 1] + BucketWord.link]
            memory.release(chain[chain.count - 1] + BucketWord.link, 0)
            // Checked above, but it is shared memory and may be damaged by now.
            guard link > 0, link <= UInt64(layout.overflowBuckets) else { return }
            let index = Int(link) - 1
            let word = overflowMapWord(index / 64, stripe)
            memory[word] = memory[word] & ~(1 << UInt64(index % 64))
        }
    }

    private func isEmptyBucket(_ bucket: Int) -> Bool {
        (0..<StoreLayout.slotsPerBucket).allSatisfy { EntryReference(bits: memory[bucket + $0 * 8]).isEmpty }
    }

    func overflowMapWord(_ index: Int, _ stripe: Int) -> Int {
        layout.overflowMapsOffset + (stripe * ((layout.overflowBuckets + 63) / 64) + index) * 8
    }

    private func takeOverflowBucket(_ stripe: Int) -> Int? {
        for index in 0..<(layout.overflowBuckets + 63) / 64 {
            let word = overflowMapWord(index, stripe)
            let free = ~memory[word]
            guard free != 0, index * 64 + free.trailingZeroBitCount < layout.overflowBuckets else { continue }
            memory[word] = memory[word] | (free & (0 &- free))
            return index * 64 + free.trailingZeroBitCount
        }
        return nil
    }

    /// How many references a stripe has room for, linked or not.
    var slotsPerStripe: Int { (layout.homeBuckets + layout.overflowBuckets) * StoreLayout.slotsPerBucket }

    /// The offset of a stripe's reference by its number.
    @inline(__always)
    func slot(_ number: Int, _ stripe: Int) -> Int {
        bucket(stripe, number / StoreLayout.slotsPerBucket) &+ number % StoreLayout.slotsPerBucket &* 8
    }

    /// The number of the reference at an offset.
    @inline(__always)
    func number(ofSlot slot: Int, _ stripe: Int) -> Int {
        let distance = slot &- bucket(stripe, 0)
        return distance / StoreLayout.bucketBytes &* StoreLayout.slotsPerBucket &+ distance % StoreLayout.bucketBytes
            / 8
    }
}
