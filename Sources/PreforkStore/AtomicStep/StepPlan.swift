// A step of several keys, checked and in order, before anything is locked.

/// Which keys a step touches and which stripes they are in.
struct StepPlan {
    struct Requirement {
        var key: [UInt8]
        var hash: KeyHash
        var value: StoredValue?
    }

    struct Change {
        var key: [UInt8]
        var hash: KeyHash
        var stripe: Int
        var what: AtomicStep.Change
    }

    private(set) var requirements: [Requirement] = []
    private(set) var changes: [Change] = []
    /// Ascending, each once: the order in which locks are taken.
    let stripes: [Int]

    init(_ step: AtomicStep, _ table: StoreTable) throws(StoreError) {
        // Bytes, not strings: those can be equal while their bytes are not.
        var keys = Set(step.requirements.map { Array($0.key.utf8) })
        var changed: Set<[UInt8]> = []
        for (key, _) in step.changes {
            let bytes = Array(key.utf8)
            guard changed.insert(bytes).inserted else { throw StoreError(.badStep("two changes of one key"), key: key) }
            keys.insert(bytes)
        }
        guard !changed.isEmpty else { throw StoreError(.badStep("no change in it")) }
        guard keys.count <= AtomicStep.maximumKeys else {
            throw StoreError(.badStep("\(keys.count) keys exceed the limit of \(AtomicStep.maximumKeys)"))
        }
        var stripes: Set<Int> = []
        func hashed(_ key: String, _ valueBytes: Int) throws(StoreError) -> ([UInt8], KeyHash) {
            let bytes = Array(key.utf8)
            let hash = try bytes.withUnsafeBytes { raw in
                Result { () throws(StoreError) in
                    try table.check(raw, valueBytes)
                    return table.hash(raw)
                }
            }.get()
            stripes.insert(hash.stripe(of: table.layout.stripes))
            return (bytes, hash)
        }
        for (key, value) in step.requirements {
            let (bytes, hash) = try hashed(key, 0)
            requirements.append(Requirement(key: bytes, hash: hash, value: value))
        }
        for (key, what) in step.changes {
            var valueBytes = 0
            if case .set(let value, _) = what { valueBytes = value.bytes.count }
            let (bytes, hash) = try hashed(key, valueBytes)
            changes.append(Change(key: bytes, hash: hash, stripe: hash.stripe(of: table.layout.stripes), what: what))
        }
        self.stripes = stripes.sorted()
    }

    /// The hashes of all keys of the step. No entry of these keys is evicted for the step.
    var hashes: [UInt64] { changes.map(\.hash.bits) + requirements.map(\.hash.bits) }
}

/// What a step has written before its commit.
struct PreparedStep {
    struct Item {
        var stripe: Int
        var hash: KeyHash
        /// The new entry's block, or nil for a deletion.
        var block: Int?
        var units = 0
        var expiry: UInt64 = 0
        /// What was counted for it in advance.
        var growth = StoreGrowth(entries: 0, units: 0)
        /// Where it goes, or nil for the deletion of a missing key.
        var place: EntryPlace?

        var newReference: EntryReference {
            guard let place else { return EntryReference(bits: 0) }
            guard let block else { return place.reference.emptied }
            return place.reference.successor(block: block, fingerprint: hash.fingerprint)
        }
    }

    var items: [Item] = []
    var isShortOfBuckets = false
}
