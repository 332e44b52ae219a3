// Checks that a store's derived words agree with its references.

extension StoreTable {
    /// Compares everything that is derived with what recovery would compute, stripe by stripe, under each lock.
    ///
    /// For tests and for the diagnosis of a store: an empty answer means that no block is lost or used twice, and that
    /// the counts are right.
    package func contradictions() throws(StoreError) -> [String] {
        var found: [String] = []
        var patience = patience
        for stripe in 0..<layout.stripes {
            try lock(stripe, &patience)
            found += contradictions(stripe)
            unlock(stripe)
        }
        return found
    }

    private func contradictions(_ stripe: Int) -> [String] {
        var found: [String] = []
        var used: [Int: UInt64] = [:]
        var growth = StoreGrowth(entries: 0, units: 0)
        var expiring = 0
        for number in 0..<slotsPerStripe {
            let reference = EntryReference(bits: memory[slot(number, stripe)])
            if reference.isPending { found.append("stripe \(stripe): a pending reference") }
            if reference.isEmpty { continue }
            guard let view = EntryView(self, reference) else {
                found.append("stripe \(stripe): a reference to nothing")
                continue
            }
            if view.isChanging { found.append("stripe \(stripe): a number in the middle of a change") }
            let shape = view.shape
            if locateSlot(of: view) != slot(number, stripe) { found.append("stripe \(stripe): an unreachable entry") }
            let bit: UInt64 = 1 << UInt64(reference.block % 64 / EntryShape.units(ofClass: shape.blockClass))
            if used[reference.block / 64, default: 0] & bit != 0 { found.append("block \(reference.block) used twice") }
            used[reference.block / 64, default: 0] |= bit
            for index in 0..<shape.slabs {
                guard let slab = view.slab(index, shape, self), used[slab] == nil else {
                    found.append("stripe \(stripe): slab \(index) of a large value used twice")
                    continue
                }
                used[slab] = 1
            }
            growth.entries += 1
            growth.units += shape.units
            if view.expiry != 0 { expiring += 1 }
        }
        found += contradictions(stripe, used, growth, expiring)
        return found
    }

    private func contradictions(
        _ stripe: Int, _ used: [Int: UInt64], _ growth: StoreGrowth, _ expiring: Int
    ) -> [String] {
        var found: [String] = []
        func compare(_ name: String, _ offset: Int, _ expected: Int) {
            if memory[offset] != UInt64(expected) {
                found.append("stripe \(stripe): \(name) \(memory[offset]), not \(expected)")
            }
        }
        compare("entries", entryCountWord(stripe), growth.entries)
        compare("units", unitCountWord(stripe), growth.units)
        compare("expiring", stripeOffset(stripe) + Stripe.expiring, expiring)
        for slab in 1..<layout.slabs {
            guard let use = use(ofSlab: slab, by: stripe) else {
                if used[slab] != nil { found.append("slab \(slab) is used and not owned") }
                continue
            }
            let bits = use == Self.wholeSlab ? (used[slab] ?? 0) : memory[slabRecord(slab) + SlabRecord.used]
            if bits != used[slab] ?? 0 {
                found.append("slab \(slab) of stripe \(stripe): \(bits), not \(used[slab] ?? 0)")
            }
            if use == Self.wholeSlab, used[slab] == nil { found.append("slab \(slab) of stripe \(stripe) is lost") }
        }
        return found
    }

    private func locateSlot(of view: EntryView) -> Int? {
        locate(view.key, KeyHash(bits: view.hash)).slot
    }
}
