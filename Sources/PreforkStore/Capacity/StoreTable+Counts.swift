// The fill level of a store: exact under any number of writers, without a lock on all of it.

import Synchronization

/// What an operation adds to a store.
struct StoreGrowth {
    var entries: Int
    var units: Int
}

extension StoreTable {
    func entryCountWord(_ stripe: Int) -> Int { layout.entryCountsOffset &+ stripe &* 8 }
    func unitCountWord(_ stripe: Int) -> Int { layout.unitCountsOffset &+ stripe &* 8 }

    /// Changes a stripe's counts. The caller holds its lock.
    @inline(__always)
    func add(_ growth: StoreGrowth, stripe: Int) {
        let entries = entryCountWord(stripe)
        memory[entries] = memory[entries] &+ UInt64(bitPattern: Int64(growth.entries))
        let units = unitCountWord(stripe)
        memory[units] = memory[units] &+ UInt64(bitPattern: Int64(growth.units))
    }

    /// Entries and units of all stripes.
    func totals() -> StoreGrowth {
        var entries: UInt64 = 0
        var units: UInt64 = 0
        for stripe in 0..<layout.stripes {
            entries &+= memory[entryCountWord(stripe)]
            units &+= memory[unitCountWord(stripe)]
        }
        // Damaged counts can have any value, and computations with them must not overflow.
        return StoreGrowth(entries: Int(min(entries, 1 << 48)), units: Int(min(units, 1 << 48)))
    }

    /// Counts `growth` before it happens, if the store has room for it or can make it.
    ///
    /// First counted, then looked: of two writers that take the last place at the same time in different stripes, at
    /// least one sees the other, and the capacity is never exceeded. (Both may be refused.)
    ///
    /// - Parameters:
    ///   - keep: hashes of entries that must not be evicted for it.
    ///   - rearranged: becomes true when entries have left the stripe, which invalidates places in it.
    func reserve(
        _ growth: StoreGrowth, stripe: Int, keeping keep: [UInt64], _ rearranged: inout Bool
    ) throws(StoreError) {
        if growth.entries <= 0 && growth.units <= 0 { return add(growth, stripe: stripe) }
        if growth.units > layout.unitLimit {
            // No entry is evicted for a value that would not fit into an empty store.
            memory.count(Header.refusals)
            throw full(needed: growth.units, used: totals().units)
        }
        add(growth, stripe: stripe)
        // Each turn frees a unit or more. Counts that say after four times as many that nothing was freed are damaged.
        for _ in 0..<4 * growth.units + 1024 {
            atomicMemoryFence(ordering: .sequentiallyConsistent)
            let totals = totals()
            let hasPlaces = totals.entries <= layout.capacity.entries
            if hasPlaces && totals.units <= layout.unitLimit { return }
            if !makeRoom(stripe: stripe, keeping: keep) { break }
            rearranged = true
        }
        add(StoreGrowth(entries: -growth.entries, units: -growth.units), stripe: stripe)
        memory.count(Header.refusals)
        let totals = totals()
        if totals.entries + growth.entries > layout.capacity.entries {
            throw StoreError(.fullOfEntries(limit: layout.capacity.entries))
        }
        throw full(needed: growth.units, used: totals.units)
    }

    func full(needed units: Int, used: Int) -> StoreError {
        StoreError(
            .full(
                needed: units * StoreLayout.unitBytes,
                free: max(0, layout.unitLimit - used) * StoreLayout.unitBytes))
    }

    /// Removes entries that may go: expired entries, or the oldest if the store evicts. They are in this stripe, or
    /// else in another stripe without a current writer.
    private func makeRoom(stripe: Int, keeping keep: [UInt64]) -> Bool {
        if sweep(stripe, slots: slotsPerStripe) > 0 { return true }
        if layout.evicts, evictOne(stripe, keeping: keep) { return true }
        for other in 0..<layout.stripes where other != stripe {
            // Never waits while it holds a lock: two processes that wait for each other would do so forever. A stripe
            // of this very step counts as busy, too.
            guard lockWithoutWaiting(other) else { continue }
            defer { unlock(other) }
            if sweep(other, slots: slotsPerStripe) > 0 { return true }
            if layout.evicts, evictOne(other, keeping: keep) { return true }
        }
        return false
    }
}
