// Reading many keys: a stripe at a time, each as it was at one moment.

import PreforkSystem
import Synchronization

extension StoreTable {
    /// Calls `body` with the key and value of every live entry of a stripe whose key begins with `prefix`, as they all
    /// were at one moment.
    ///
    /// Without a lock: copies, then checks whether any reference of the stripe has changed, and begins again if one
    /// has. Under many writes it takes the lock after a while, but never waits for one that is held by a stopped
    /// process: then nothing changes.
    ///
    /// - Parameter patience: when it is over, or references change under their lock, each entry is as it was at a
    ///   different moment.
    func snapshot(
        _ stripe: Int, prefix: [UInt8], wantsValues: Bool, _ patience: inout LockPatience
    ) -> [(key: [UInt8], value: StoredValue)] {
        while true {
            for _ in 0..<7 {
                if let found = collect(stripe, prefix, wantsValues, isLast: false) { return found }
            }
            var moment = LockPatience(limit: 1_000_000)
            let isLocked = (try? lock(stripe, &moment)) != nil
            let isLast = isLocked || patience.isOver()
            let found = collect(stripe, prefix, wantsValues, isLast: isLast)
            if isLocked { unlock(stripe) }
            if let found { return found }
        }
    }

    /// - Parameter isLast: whole entries count although others have changed meanwhile.
    /// - Returns: nil when references have changed.
    private func collect(
        _ stripe: Int, _ prefix: [UInt8], _ wantsValues: Bool, isLast: Bool
    ) -> [(key: [UInt8], value: StoredValue)]? {
        let count = slotsPerStripe
        let seen = [UInt64](unsafeUninitializedCapacity: count) { words, initialized in
            for number in 0..<count { words[number] = memory.acquire(slot(number, stripe)) }
            initialized = count
        }
        var found: [(key: [UInt8], value: StoredValue)] = []
        var effective: [UInt64] = []
        var numbers: [(view: EntryView, sighting: NumberSighting)] = []
        for number in 0..<count {
            let raw = EntryReference(bits: seen[number])
            let reference = raw.isPending ? resolve(raw, slot(number, stripe), stripe) : raw
            if raw.isPending { effective.append(reference.bits) }
            guard !reference.isEmpty, let view = EntryView(self, reference), view.keyBytes >= prefix.count,
                view.key.prefix(prefix.count).elementsEqual(prefix), !view.isExpired
            else { continue }
            let key = Array(view.key)
            if wantsValues, let sighting = view.number { numbers.append((view, sighting)) }
            let value = wantsValues ? view.copiedValue(self) : StoredValue(kind: .bytes, bytes: [])
            guard let value, !isLast || isStill(raw, reference, slot(number, stripe)) else { continue }
            found.append((key, value))
        }
        if isLast { return found }
        atomicMemoryFence(ordering: .acquiring)
        for number in numbers where number.view.numberNow() != number.sighting { return nil }
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
        var patience = patience
        while true {
            for _ in 0..<16 {
                if let values = lookTwice(keys, hashes, &patience) { return values }
            }
            if let values = try lookLocked(keys, hashes, &patience) { return values }
            if patience.isOver() { throw StoreError(.busy) }
        }
    }

    /// Two reads that see the same at the same places saw the state in between, all at once: no reference comes back,
    /// because its version grows.
    private func lookTwice(
        _ keys: [[UInt8]], _ hashes: [KeyHash], _ patience: inout LockPatience
    ) -> [[UInt8]: StoredValue]? {
        var pause = ReadPause()
        pause.patience = patience
        defer { patience = pause.patience ?? patience }
        var values: [[UInt8]: StoredValue] = [:]
        var sightings: [Sighting?] = []
        for (key, hash) in zip(keys, hashes) {
            let found: (sighting: Sighting, value: StoredValue)? = key.withUnsafeBytes { raw in
                read(raw, hash, &pause) { view, sighting in view.copiedValue(self).map { (sighting, $0) } }
            }
            sightings.append(found?.sighting)
            values[key] = found?.value
        }
        for (index, (key, hash)) in zip(keys, hashes).enumerated() {
            let sighting = key.withUnsafeBytes { raw in read(raw, hash, &pause) { _, sighting in sighting } }
            if sighting != sightings[index] { return nil }
        }
        return values
    }

    /// With all locks, for keys that change faster than they can be read. Nil if a lock is not available, which means
    /// that its stripe does not change just now.
    ///
    /// - Throws: `.corrupt` when they change although all locks are held.
    private func lookLocked(
        _ keys: [[UInt8]], _ hashes: [KeyHash], _ patience: inout LockPatience
    ) throws(StoreError) -> [[UInt8]: StoredValue]? {
        var locked: [Int] = []
        defer { for stripe in locked.reversed() { unlock(stripe) } }
        for stripe in Set(hashes.map { $0.stripe(of: layout.stripes) }).sorted() {
            var moment = LockPatience(limit: 1_000_000)
            guard (try? lock(stripe, &moment)) != nil else { return nil }
            locked.append(stripe)
        }
        if let values = lookTwice(keys, hashes, &patience) { return values }
        memory.count(Header.damages)
        throw StoreError(.corrupt("entries that change without their lock"))
    }

    /// How many live entries there are.
    package func count() -> Int {
        var count = 0
        for stripe in 0..<layout.stripes {
            count += Int(min(memory[entryCountWord(stripe)], 1 << 48))
            // Expired keys that have not been removed yet do not count.
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
