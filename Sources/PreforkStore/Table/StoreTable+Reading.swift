// Reading without a lock: check, copy, check again.

import PreforkSystem
import Synchronization

/// Where an entry was seen: a place and its reference, by which a second read detects a change. A number also changes
/// under its reference.
struct Sighting: Equatable {
    var slot: Int
    var reference: EntryReference
    var number: NumberSighting?
}

extension StoreTable {
    /// Calls `body` with the entry of `key` and returns its result, or nil if there is no entry.
    ///
    /// `body` can be called several times, with entries that change while it reads: it must copy, never trust. Its
    /// result for a whole view counts. Nil means "not whole, try again".
    ///
    /// A reader never waits: a writer that is stopped or killed has published either the old value or the new one.
    @inline(__always)
    func read<Result>(
        _ key: UnsafeRawBufferPointer, _ hash: KeyHash, _ body: (EntryView, Sighting) -> Result?
    ) -> Result? {
        var pause = ReadPause()
        return read(key, hash, &pause, body)
    }

    /// As `read`, for a call that reads several keys in one time limit.
    @inline(__always)
    func read<Result>(
        _ key: UnsafeRawBufferPointer, _ hash: KeyHash, _ pause: inout ReadPause,
        _ body: (EntryView, Sighting) -> Result?
    ) -> Result? {
        let stripe = hash.stripe(of: layout.stripes)
        while true {
            let look = look(key, hash, stripe, body)
            let wasLocked = pause.isLocked
            if wasLocked { endPause(&pause, stripe) }
            switch look {
            case .found(let result): return result
            case .missing: return nil
            case .changed: if wasLocked || !pauseReading(&pause, stripe) { return lost() }
            }
        }
    }

    /// An entry changes although its lock is held, or all the time: a process writes where it must not.
    @inline(never)
    private func lost<Result>() -> Result? {
        memory.count(Header.damages)
        return nil
    }

    private enum Look<Result> {
        case found(Result)
        case missing
        /// It was replaced in the meantime.
        case changed
    }

    @inline(__always)
    private func look<Result>(
        _ key: UnsafeRawBufferPointer, _ hash: KeyHash, _ stripe: Int, _ body: (EntryView, Sighting) -> Result?
    ) -> Look<Result> {
        var place = find(key, hash, in: homeBucket(hash))
        if place == nil { place = findInOverflow(key, hash, stripe) }
        guard let place else { return .missing }
        guard let view = place.view else { return .changed }
        let isExpired = view.isExpired
        let sighting = Sighting(slot: place.slot, reference: place.reference, number: view.number)
        let result = isExpired ? nil : body(view, sighting)
        guard isStill(place.seen, place.reference, place.slot) else { return .changed }
        if isExpired { return .missing }
        // Unchanged and yet not whole: damaged memory. There is no such entry.
        guard let result else {
            memory.count(Header.damages)
            return .missing
        }
        if layout.evicts { touch(place.slot, stripe) }
        return .found(result)
    }

    /// Where a reader has found a key.
    private struct Place {
        var slot: Int
        /// What is stored there, and what it stands for: they differ where a step is under way.
        var seen: EntryReference
        var reference: EntryReference
        /// nil: what did not match was being replaced, and must be checked again.
        var view: EntryView?
    }

    /// The place of a key in one bucket, or nil if it is missing.
    @inline(__always)
    private func find(_ key: UnsafeRawBufferPointer, _ hash: KeyHash, in bucket: Int) -> Place? {
        var slot = bucket
        let end = bucket &+ StoreLayout.slotsPerBucket &* 8
        while slot < end {
            let seen = EntryReference(bits: memory.acquire(slot))
            if seen.isSettled(hash.fingerprint) {
                if isInRange(seen), SharedWords(base: blockBytes(seen.block))[0] == hash.bits,
                    let view = EntryView(self, seen), view.hasKey(key)
                {
                    return Place(slot: slot, seen: seen, reference: seen, view: view)
                }
                // Not the key, or something half replaced: then it was not what was compared.
                if !seen.isEmpty, !isStill(seen, seen, slot) { return Place(slot: slot, seen: seen, reference: seen) }
            } else if seen.isPending, let place = findPending(key, hash, seen, slot) {
                return place
            }
            slot &+= 8
        }
        return nil
    }

    @inline(never)
    private func findPending(
        _ key: UnsafeRawBufferPointer, _ hash: KeyHash, _ seen: EntryReference, _ slot: Int
    ) -> Place? {
        let reference = resolve(seen, slot, hash.stripe(of: layout.stripes))
        if !reference.isEmpty, reference.fingerprint == hash.fingerprint, let view = EntryView(self, reference),
            view.hasKey(key, hash)
        {
            return Place(slot: slot, seen: seen, reference: reference, view: view)
        }
        return isStill(seen, reference, slot) ? nil : Place(slot: slot, seen: seen, reference: reference)
    }

    /// In the buckets behind the home bucket. A chain can be as long as the stripe has overflow buckets. A longer one
    /// is damaged.
    private func findInOverflow(_ key: UnsafeRawBufferPointer, _ hash: KeyHash, _ stripe: Int) -> Place? {
        var bucket = homeBucket(hash)
        for _ in 0..<layout.overflowBuckets {
            guard let next = linkedBucket(bucket, stripe: stripe) else { return nil }
            if let place = find(key, hash, in: next) { return place }
            bucket = next
        }
        return nil
    }

    /// Whether what was copied since `seen` was loaded is what `reference` refers to.
    @inline(__always)
    func isStill(_ seen: EntryReference, _ reference: EntryReference, _ slot: Int) -> Bool {
        atomicMemoryFence(ordering: .acquiring)
        let now = memory[slot]
        // A pending reference that was resolved to its successor may have been replaced by it since.
        return now == seen.bits || (seen.isPending && now == reference.bits)
    }

    /// A value that is replaced faster than it can be copied: after a while the reader waits its turn among the
    /// writers, a moment at a time, and reads once more while it has the lock. A writer that is stopped does not get in
    /// its way: then nothing changes.
    ///
    /// - Returns: false when the call's time is over.
    @inline(never)
    private func pauseReading(_ pause: inout ReadPause, _ stripe: Int) -> Bool {
        pause.attempts &+= 1
        if pause.attempts % 64 != 0 { return true }
        var moment = LockPatience(limit: 1_000_000)
        pause.isLocked = (try? lock(stripe, &moment)) != nil
        var patience = pause.patience ?? patience
        let isOver = patience.isOver()
        pause.patience = patience
        return pause.isLocked || !isOver
    }

    @inline(never)
    private func endPause(_ pause: inout ReadPause, _ stripe: Int) {
        pause.isLocked = false
        unlock(stripe)
    }
}

/// The progress of a reader whose entry is replaced while it reads.
struct ReadPause {
    var attempts = 0
    /// It has the lock for its next read.
    var isLocked = false
    var patience: LockPatience?
}

/// An operation costs about as much as its instructions: the cache lines of one come while the processor is at work on
/// the last one, if that was short. So these do the most common work, and leave the rest to the whole operation, which
/// starts again.
///
/// Each has two forms, and so have the short ways of writing. That for a `ShortKey` is inlined and calls nothing on its
/// way: registers that a call may use have to be saved for it. That for other lengths is a call itself.
extension StoreTable {
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
        let source = entry.bytes + EntryShape.valueOffset(key.count)
        guard copyShortRun(from: source, to: target, count: entry.valueBytes), isStill(entry, hash) else { return nil }
        return entry
    }

    /// As `quickCopy`, in a store without eviction, and without any call on its way.
    ///
    /// - Returns: how many bytes, or -1.
    @inline(__always)
    func quickestCopy(_ key: ShortKey, to target: UnsafeMutableRawPointer, room: Int) -> Int {
        let hash = key.hash(secrets)
        guard let entry = plainEntryAtFirstSight(hash, key.count, { key.isAt($0) }), entry.valueBytes <= room,
            copyShortRun(from: entry.bytes + EntryShape.valueOffset(key.count), to: target, count: entry.valueBytes)
        else { return -1 }
        atomicMemoryFence(ordering: .acquiring)
        return entry.slot[0] == entry.reference.bits ? entry.valueBytes : -1
    }

    /// Copies the value of a plain entry.
    ///
    /// - Returns: the entry as it was copied, whole. Nil if `read` must read it, including a missing or refused key.
    @inline(never)
    func quickCopy(_ key: UnsafeRawBufferPointer, to target: UnsafeMutableRawPointer, room: Int) -> PlainEntry? {
        guard isKey(key), let keyStart = key.baseAddress else { return nil }
        let hash = hash(key)
        let start = EntryShape.valueOffset(key.count)
        guard let entry = plainEntry(hash, key.count, { areEqual($0, keyStart, count: key.count) }),
            entry.valueBytes <= min(room, EntryShape.largestBlock &- start)
        else { return nil }
        copyBytes(from: entry.bytes + start, to: target, count: entry.valueBytes)
        return isStill(entry, hash) ? entry : nil
    }

    /// The text of a plain entry, copied into the string's own memory.
    ///
    /// - Returns: nil if another function must read it, including an entry of another kind and a missing key.
    @inline(__always)
    func quickText(_ key: ShortKey) -> String? {
        let hash = key.hash(secrets)
        guard let entry = plainEntry(hash, key.count, { key.isAt($0) }) else { return nil }
        return quickText(of: entry, hash, from: EntryShape.valueOffset(key.count))
    }

    /// As `quickText`, for keys of all lengths.
    @inline(never)
    func quickText(_ key: UnsafeRawBufferPointer) -> String? {
        guard isKey(key), let keyStart = key.baseAddress else { return nil }
        let hash = hash(key)
        guard let entry = plainEntry(hash, key.count, { areEqual($0, keyStart, count: key.count) }) else { return nil }
        return quickText(of: entry, hash, from: EntryShape.valueOffset(key.count))
    }

    /// The string is checked to be UTF-8 after the copy: what lies in shared memory may change after each look.
    @inline(__always)
    private func quickText(of entry: PlainEntry, _ hash: KeyHash, from start: Int) -> String? {
        let count = entry.valueBytes
        guard entry.kindBits == ValueKind.string.rawValue, count <= EntryShape.largestBlock &- start else { return nil }
        var isWhole = false
        let text = String(unsafeUninitializedCapacity: count) { buffer in
            // An empty string may have no address.
            if let target = buffer.baseAddress {
                copyBytes(from: entry.bytes + start, to: UnsafeMutableRawPointer(target), count: count)
            }
            isWhole = isStill(entry, hash)
            return isWhole ? count : 0
        }
        return isWhole ? text : nil
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
