// Reading without a lock: look, copy, look again.

import Synchronization

extension StoreTable {
    /// Calls `body` with the entry of `key` and returns what it made of it; nil when there is no entry.
    ///
    /// `body` can be called several times, with entries that change under its eyes: it must copy, never trust. What it
    /// returned from a view that was whole counts; nil means "not whole, look again".
    ///
    /// A reader waits for nobody: a writer that is stopped or killed has published either the old value or the new one.
    @inline(__always)
    func read<Result>(
        _ key: UnsafeRawBufferPointer, _ hash: KeyHash, _ body: (EntryView) -> Result?
    ) -> Result? {
        let stripe = hash.stripe(of: layout.stripes)
        var attempt = 0
        while true {
            switch look(key, hash, stripe, body) {
            case .found(let result): return result
            case .missing: return nil
            case .changed: pauseReading(&attempt, stripe)
            }
        }
    }

    enum Look<Result> {
        case found(Result)
        case missing
        /// It was replaced in the meantime.
        case changed
    }

    @inline(__always)
    private func look<Result>(
        _ key: UnsafeRawBufferPointer, _ hash: KeyHash, _ stripe: Int, _ body: (EntryView) -> Result?
    ) -> Look<Result> {
        var bucket = homeBucket(hash)
        let fingerprint = hash.fingerprint
        // A chain can be as long as the stripe has overflow buckets; a longer one is damaged.
        for _ in 0...layout.overflowBuckets {
            var slot = bucket
            let end = bucket &+ StoreLayout.slotsPerBucket &* 8
            while slot < end {
                let seen = EntryReference(bits: memory.acquire(slot))
                if seen.fingerprint == fingerprint || seen.isPending {
                    let reference = seen.isPending ? resolve(seen, slot, stripe) : seen
                    if !reference.isEmpty, reference.fingerprint == fingerprint,
                        let view = EntryView(self, reference), view.hasKey(key, hash)
                    {
                        let isExpired = view.isExpired
                        let result = isExpired ? nil : body(view)
                        guard isStill(seen, reference, slot) else { return .changed }
                        if isExpired { return .missing }
                        // Unchanged and yet not whole: damaged memory. There is no such entry.
                        guard let result else {
                            memory.count(Header.damages)
                            return .missing
                        }
                        if layout.evicts { touch(slot, stripe) }
                        return .found(result)
                    }
                    // What did not match may have been half replaced while it was compared.
                    if !isStill(seen, reference, slot) { return .changed }
                }
                slot &+= 8
            }
            guard let next = linkedBucket(bucket, stripe: stripe) else { return .missing }
            bucket = next
        }
        return .missing
    }

    /// Whether what was copied since `seen` was loaded is what `reference` refers to.
    @inline(__always)
    func isStill(_ seen: EntryReference, _ reference: EntryReference, _ slot: Int) -> Bool {
        atomicMemoryFence(ordering: .acquiring)
        let now = memory[slot]
        // A pending reference that was resolved to its successor may have been replaced by it since.
        return now == seen.bits || (seen.isPending && now == reference.bits)
    }

    /// A value that is replaced faster than it can be copied: after a while the reader waits its turn among the writers,
    /// a moment at a time. A writer that is stopped does not get in its way: then nothing changes.
    private func pauseReading(_ attempt: inout Int, _ stripe: Int) {
        attempt += 1
        if attempt % 64 == 0, (try? lock(stripe, timeout: 1_000_000)) != nil { unlock(stripe) }
    }
}
