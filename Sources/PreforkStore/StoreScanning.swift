// Looking at many keys: a stripe at a time, each as it was at one moment.

import Synchronization

extension StoreTable {
    /// Calls `body` with the key and value of every live entry of a stripe whose key begins with `prefix`, as they all
    /// were at one moment.
    ///
    /// Without a lock: copies, then looks whether any reference of the stripe has changed, and begins again if one has.
    /// Under many writes it takes the lock after a while, but never waits for one that is held by a stopped process:
    /// then nothing changes.
    func snapshot(_ stripe: Int, prefix: [UInt8], wantsValues: Bool) -> [(key: [UInt8], value: StoredValue)] {
        var attempt = 0
        while true {
            attempt += 1
            if attempt % 8 == 0, (try? lock(stripe, timeout: 1_000_000)) != nil {
                let found = collect(stripe, prefix, wantsValues)
                unlock(stripe)
                if let found { return found }
            } else if let found = collect(stripe, prefix, wantsValues) {
                return found
            }
        }
    }

    private func collect(_ stripe: Int, _ prefix: [UInt8], _ wantsValues: Bool) -> [(key: [UInt8], value: StoredValue)]?
    {
        let count = slotsPerStripe
        let seen = [UInt64](unsafeUninitializedCapacity: count) { words, initialized in
            for number in 0..<count { words[number] = memory.acquire(slot(number, stripe)) }
            initialized = count
        }
        var found: [(key: [UInt8], value: StoredValue)] = []
        var effective: [UInt64] = []
        for number in 0..<count {
            let raw = EntryReference(bits: seen[number])
            let reference = raw.isPending ? resolve(raw, slot(number, stripe), stripe) : raw
            if raw.isPending { effective.append(reference.bits) }
            guard !reference.isEmpty, let view = EntryView(self, reference), view.keyBytes >= prefix.count,
                view.key.prefix(prefix.count).elementsEqual(prefix), !view.isExpired
            else { continue }
            if !wantsValues {
                found.append((Array(view.key), StoredValue(kind: .bytes, bytes: [])))
            } else if let value = view.copiedValue(self) {
                found.append((Array(view.key), value))
            }
        }
        atomicMemoryFence(ordering: .acquiring)
        var pending = effective.makeIterator()
        for number in 0..<count {
            let raw = EntryReference(bits: seen[number])
            let now = memory[slot(number, stripe)]
            if raw.isPending {
                let resolved = pending.next() ?? 0
                if now == resolved { continue }
                // Still pending: the step must not have been decided since.
                guard now == raw.bits, resolve(raw, slot(number, stripe), stripe).bits == resolved else { return nil }
            } else if now != raw.bits {
                return nil
            }
        }
        return found
    }

    /// The values of several keys as they were at one moment.
    package func load(several keys: [[UInt8]]) throws(StoreError) -> [[UInt8]: StoredValue] {
        var hashes: [KeyHash] = []
        for key in keys {
            let hash = try key.withUnsafeBytes { raw in
                Result { () throws(StoreError) in
                    try check(raw, 0)
                    return self.hash(raw)
                }
            }.get()
            hashes.append(hash)
        }
        var attempt = 0
        while true {
            attempt += 1
            if let values = lookTwice(keys, hashes) { return values }
            if attempt % 16 == 0, let values = try lookLocked(keys, hashes) { return values }
        }
    }

    /// Two looks that see the same at the same places saw what was there in between, all at once: no reference comes
    /// back, because its version grows.
    private func lookTwice(_ keys: [[UInt8]], _ hashes: [KeyHash]) -> [[UInt8]: StoredValue]? {
        var values: [[UInt8]: StoredValue] = [:]
        var sightings: [Sighting?] = []
        for (key, hash) in zip(keys, hashes) {
            let found: (sighting: Sighting, value: StoredValue)? = key.withUnsafeBytes { raw in
                read(raw, hash) { view, sighting in view.copiedValue(self).map { (sighting, $0) } }
            }
            sightings.append(found?.sighting)
            values[key] = found?.value
        }
        for (index, (key, hash)) in zip(keys, hashes).enumerated() {
            let sighting = key.withUnsafeBytes { raw in read(raw, hash) { _, sighting in sighting } }
            if sighting != sightings[index] { return nil }
        }
        return values
    }

    /// With all locks, for keys that change faster than they can be read; nil when a lock is not to be had, which means
    /// that its stripe does not change just now.
    private func lookLocked(_ keys: [[UInt8]], _ hashes: [KeyHash]) throws(StoreError) -> [[UInt8]: StoredValue]? {
        var locked: [Int] = []
        defer { for stripe in locked.reversed() { unlock(stripe) } }
        for stripe in Set(hashes.map { $0.stripe(of: layout.stripes) }).sorted() {
            guard (try? lock(stripe, timeout: 1_000_000)) != nil else { return nil }
            locked.append(stripe)
        }
        return lookTwice(keys, hashes)
    }

    /// How many live entries there are.
    package func count() -> Int {
        var count = 0
        for stripe in 0..<layout.stripes {
            count += Int(min(memory[entryCountWord(stripe)], 1 << 48))
            // Those whose time is over and that nobody has removed yet do not count.
            if memory[stripeOffset(stripe) + Stripe.expiring] > 0 { count -= expiredCount(stripe) }
        }
        return max(0, count)
    }

    private func expiredCount(_ stripe: Int) -> Int {
        (0..<slotsPerStripe).count { number in
            let reference = EntryReference(bits: memory.acquire(slot(number, stripe)))
            guard !reference.isEmpty, let view = EntryView(self, reference), view.expiry != 0 else { return false }
            return view.isExpired && memory[slot(number, stripe)] == reference.bits
        }
    }
}
