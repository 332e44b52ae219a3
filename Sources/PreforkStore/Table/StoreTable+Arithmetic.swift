// Changes that depend on the value that is there.

import PreforkSystem

extension StoreTable {
    /// Adds to an integer. A missing key counts as 0. The expiry stays as it is.
    ///
    /// - Returns: the sum.
    package func increment(_ key: UnsafeRawBufferPointer, by amount: Int64) throws(StoreError) -> Int64 {
        try check(key, 8)
        let hash = hash(key)
        let stripe = hash.stripe(of: layout.stripes)
        try lock(stripe)
        let sum: Int64
        do throws(StoreError) {
            let place = locate(key, hash)
            let live = place.view.flatMap { $0.isExpired ? nil : $0 }
            sum = try self.sum(live, amount, key: key)
            try replace(place, key, hash, sum, expiry: live?.expiry ?? 0)
        } catch {
            unlock(stripe)
            examine(after: error, of: [stripe])
            throw error
        }
        unlock(stripe)
        wakeWatchers(hash)
        return sum
    }

    @inline(__always)
    private func replace(
        _ place: EntryPlace, _ key: UnsafeRawBufferPointer, _ hash: KeyHash, _ number: Int64, expiry: UInt64
    ) throws(StoreError) {
        var failure: StoreError?
        withUnsafeBytes(of: number) { bytes in
            do throws(StoreError) {
                try replace(place, key, hash, RawValue(kind: .integer, bytes: bytes), expiry: expiry)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }

    func sum(_ view: EntryView?, _ amount: Int64, key: some Collection<UInt8>) throws(StoreError) -> Int64 {
        guard let view else { return amount }
        guard view.kind == .integer, view.valueBytes == 8, let bytes = view.contiguousValue else {
            let mismatch = ValueMismatch(stored: view.kind ?? .bytes, asked: "integer")
            throw StoreError(.mismatch(mismatch), key: String(decoding: key, as: UTF8.self))
        }
        let (sum, overflow) = bytes.loadUnaligned(as: Int64.self).addingReportingOverflow(amount)
        if overflow { throw StoreError(.overflow, key: String(decoding: key, as: UTF8.self)) }
        return sum
    }

    /// Replaces a value if it is `expected` (nil: missing) by `new` (nil: removes it).
    package func compareAndSet(
        _ key: UnsafeRawBufferPointer, expecting expected: StoredValue?, to new: StoredValue?, expiry: UInt64
    ) throws(StoreError) -> Bool {
        try check(key, new?.bytes.count ?? 0)
        let hash = hash(key)
        let stripe = hash.stripe(of: layout.stripes)
        try lock(stripe)
        let result: Result<Bool, StoreError> = Result { () throws(StoreError) in
            let place = locate(key, hash)
            let live = place.view.flatMap { $0.isExpired ? nil : $0 }
            switch (live, expected) {
            case (nil, nil): break
            case (let live?, let expected?): if !isValue(of: live, expected) { return false }
            default: return false
            }
            if let new {
                try new.bytes.withUnsafeBytes { bytes in
                    Result { () throws(StoreError) in
                        try replace(place, key, hash, RawValue(kind: new.kind, bytes: bytes), expiry: expiry)
                    }
                }.get()
            } else if let slot = place.slot, place.view != nil {
                remove(slot, place.reference, stripe)
            }
            return true
        }
        unlock(stripe)
        let isDone = try result.get()
        if isDone { wakeWatchers(hash) }
        return isDone
    }

    /// Gives an existing key a new life span.
    ///
    /// - Returns: whether it was there.
    package func setExpiry(_ key: UnsafeRawBufferPointer, _ expiry: UInt64) throws(StoreError) -> Bool {
        try check(key, 0)
        let hash = hash(key)
        let stripe = hash.stripe(of: layout.stripes)
        try lock(stripe)
        defer {
            unlock(stripe)
            // Watchers sleep until the end of the life that they know of.
            wakeWatchers(hash)
        }
        guard let view = locate(key, hash).view, !view.isExpired else { return false }
        // In its place: one word, and no reader minds which of the two it sees.
        countExpiring((expiry != 0 ? 1 : 0) - (view.expiry != 0 ? 1 : 0), stripe)
        SharedWords(base: view.bytes).release(16, expiry)
        return true
    }
}
