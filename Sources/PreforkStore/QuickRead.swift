// The look that is nearly always enough.

import Synchronization

/// An entry of the plainest kind: in its home bucket, no step under way, without expiry, in one piece.
struct PlainEntry {
    var slot: Int
    var reference: EntryReference
    var bytes: UnsafeMutableRawPointer
    var valueBytes: Int
    var kindBits: UInt8
    /// Where the value begins.
    var start: Int
}

/// An operation costs about as much as its instructions: the cache lines of one come while the processor is at work on
/// the last one, if that was short. So these do what is nearly always to be done, and leave the rest to the whole
/// operation, which looks anew.
extension StoreTable {
    /// The entry of a key, if it is plain; nil says nothing. To a reader its lengths are a claim until `isStill`.
    @inline(__always)
    func plainEntry(_ key: UnsafeRawBufferPointer, _ hash: KeyHash) -> PlainEntry? {
        var slot = homeBucket(hash)
        let end = slot &+ StoreLayout.slotsPerBucket &* 8
        let fingerprint = hash.fingerprint
        while slot != end {
            let seen = EntryReference(bits: memory.acquire(slot))
            guard seen.isSettled(fingerprint), isInRange(seen) else {
                slot &+= 8
                continue
            }
            let bytes = blockBytes(seen.block)
            let words = SharedWords(base: bytes)
            let lengths = words[8]
            let valueBytes = Int(truncatingIfNeeded: lengths >> 32)
            let start = EntryShape.headerBytes &+ key.count
            guard words[0] == hash.bits, words[16] == 0, Int(truncatingIfNeeded: lengths & 0xFFFF) == key.count,
                start &+ valueBytes <= EntryShape.largestBlock, let keyStart = key.baseAddress,
                areEqual(bytes + EntryShape.headerBytes, keyStart, count: key.count)
            else { return nil }
            return PlainEntry(
                slot: slot, reference: seen, bytes: bytes, valueBytes: valueBytes,
                kindBits: UInt8(truncatingIfNeeded: lengths >> 16), start: start)
        }
        return nil
    }

    /// Whether a key is one, as `check` says.
    @inline(__always)
    func isKey(_ key: UnsafeRawBufferPointer) -> Bool {
        UInt(bitPattern: key.count &- 1) < UInt(EntryShape.maximumKeyBytes)
    }

    /// Copies the value of a plain entry.
    ///
    /// - Returns: the entry as it was copied, whole; nil when `read` has to look, also for a key that is missing or
    ///   refused.
    @inline(__always)
    func quickCopy(
        _ key: UnsafeRawBufferPointer, to target: UnsafeMutableRawPointer, room: Int
    ) -> PlainEntry? {
        guard isKey(key) else { return nil }
        let hash = hash(key)
        guard let entry = plainEntry(key, hash), entry.valueBytes <= room else { return nil }
        copyBytes(from: entry.bytes + entry.start, to: target, count: entry.valueBytes)
        guard isStill(entry.reference, entry.reference, entry.slot) else { return nil }
        if layout.evicts { touch(entry.slot, hash.stripe(of: layout.stripes)) }
        return entry
    }
}
