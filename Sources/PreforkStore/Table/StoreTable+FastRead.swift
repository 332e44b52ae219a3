// The short read that is nearly always enough.

import Synchronization

/// An entry of the plainest kind: no step under way, without expiry, in one piece.
struct PlainEntry {
    /// Where its reference is.
    let slot: SharedWords
    let reference: EntryReference
    let bytes: UnsafeMutableRawPointer
    /// As `EntryView.lengths` has them.
    let lengths: UInt64

    @inline(__always)
    var valueBytes: Int { Int(truncatingIfNeeded: lengths >> 32) }

    @inline(__always)
    var kindBits: UInt8 { UInt8(truncatingIfNeeded: lengths >> 16) }
}

/// An operation costs about as much as its instructions: the cache lines of one come while the processor is at work on
/// the last one, if that was short. So these do the most common work, and leave the rest to the whole operation, which
/// starts again.
///
/// Each has two forms. That for a `ShortKey` is inlined and calls nothing on its way: registers that a call may use
/// have to be saved for it. That for other lengths is a call itself.
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
        if SharedWords(base: bytes)[0] != hash.bits {
            guard let found = searchSlot(hash) else { return nil }
            slot = SharedWords(base: found)
            reference = EntryReference(bits: slot.acquire(0))
            guard isInRange(reference) else { return nil }
            bytes = map.bytes(reference.block)
            guard SharedWords(base: bytes)[0] == hash.bits else { return nil }
        }
        let words = SharedWords(base: bytes)
        let lengths = words[8]
        guard !reference.isPending, words[16] == 0, Int(truncatingIfNeeded: lengths & 0xFFFF) == keyBytes,
            hasKey(bytes + EntryShape.headerBytes)
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
                    SharedWords(base: map.bytes(reference.block))[0] == hash.bits
                {
                    return memory.base + slot
                }
            }
            guard let next = linkedBucket(bucket, stripe: map.stripe(hash)) else { return nil }
            bucket = next
        }
        return nil
    }

    /// Whether a key is one, as `check` says.
    @inline(__always)
    func isKey(_ key: UnsafeRawBufferPointer) -> Bool {
        UInt(bitPattern: key.count &- 1) < UInt(EntryShape.maximumKeyBytes)
    }

    /// Copies the value of a plain entry, if it has 8 to 64 bytes.
    ///
    /// - Returns: the entry as it was copied, whole. Nil if the form for all lengths must read it.
    @inline(__always)
    func quickCopy(_ key: ShortKey, to target: UnsafeMutableRawPointer, room: Int) -> PlainEntry? {
        let hash = key.hash(secrets)
        guard let entry = plainEntry(hash, key.count, { key.isAt($0) }), entry.valueBytes <= room else { return nil }
        let source = entry.bytes + (EntryShape.headerBytes &+ key.count)
        guard copyShortRun(from: source, to: target, count: entry.valueBytes), isStill(entry, hash) else { return nil }
        return entry
    }

    /// Copies the value of a plain entry.
    ///
    /// - Returns: the entry as it was copied, whole. Nil if `read` must read it, including a missing or refused key.
    @inline(never)
    func quickCopy(_ key: UnsafeRawBufferPointer, to target: UnsafeMutableRawPointer, room: Int) -> PlainEntry? {
        guard isKey(key), let keyStart = key.baseAddress else { return nil }
        let hash = hash(key)
        let start = EntryShape.headerBytes &+ key.count
        guard let entry = plainEntry(hash, key.count, { areEqual($0, keyStart, count: key.count) }),
            entry.valueBytes <= min(room, EntryShape.largestBlock &- start)
        else { return nil }
        copyBytes(from: entry.bytes + start, to: target, count: entry.valueBytes)
        return isStill(entry, hash) ? entry : nil
    }

    /// Whether what was copied since the entry was found is its value. Then it was used, for the eviction.
    @inline(__always)
    private func isStill(_ entry: PlainEntry, _ hash: KeyHash) -> Bool {
        atomicMemoryFence(ordering: .acquiring)
        guard entry.slot[0] == entry.reference.bits else { return false }
        if layout.evicts { touch(entry, hash) }
        return true
    }
}
