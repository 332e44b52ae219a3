// Changing a store.

extension SharedStore {
    /// Stores a value.
    ///
    /// - Parameter expires: how long it lives, above zero. If nil, it lives forever. Counted on the monotonic clock, to
    ///   the nanosecond. Its memory is freed when room is needed or by `removeExpired`.
    /// - Throws: `.full`, `.fullOfEntries`, `.valueTooLarge`, `.badKey`, `.badArgument`, `.busy`. The key is then as it
    ///   was.
    @inlinable
    public func set<Value: SharedValue>(
        _ key: String, _ value: Value, expires: Duration? = nil
    ) throws(StoreError) {
        if expires == nil, value.withSharedBytes({ putQuickly(key, $0, $1) }) { return }
        _ = try put(key, value, expires, if: .always)
    }

    /// Stores a value by the store's codec.
    ///
    /// - Throws: `StoreError`, or what the codec throws.
    public func set<Value: Codable & Sendable>(_ key: String, _ value: Value, expires: Duration? = nil) throws {
        _ = try set(key, stored: StoredValue(value, codec: codec), expires: expires)
    }

    /// Stores a value of any kind.
    ///
    /// - Returns: whether `condition` held.
    @discardableResult
    package func set(
        _ key: String, stored value: StoredValue, expires: Duration? = nil, if condition: PutCondition = .always
    ) throws(StoreError) -> Bool {
        let expiry = try expiryWord(after: expires)
        return try withKey(key) { (raw) throws(StoreError) in
            try value.bytes.withUnsafeBytes { bytes in
                Result { () throws(StoreError) in
                    try table.put(raw, value.kind, bytes, expiry: expiry, if: condition)
                }
            }.get()
        }
    }

    /// Stores a value only if the key is not there: of several processes that add one key, exactly one gets true.
    @inlinable
    public func add<Value: SharedValue>(
        _ key: String, _ value: Value, expires: Duration? = nil
    ) throws(StoreError) -> Bool {
        try put(key, value, expires, if: .ifAbsent)
    }

    /// As `add`, by the store's codec.
    public func add<Value: Codable & Sendable>(_ key: String, _ value: Value, expires: Duration? = nil) throws -> Bool {
        try set(key, stored: StoredValue(value, codec: codec), expires: expires, if: .ifAbsent)
    }

    /// Stores a value only if the key is there.
    @inlinable
    public func replace<Value: SharedValue>(
        _ key: String, _ value: Value, expires: Duration? = nil
    ) throws(StoreError) -> Bool {
        try put(key, value, expires, if: .ifPresent)
    }

    /// As `replace`, by the store's codec.
    public func replace<Value: Codable & Sendable>(
        _ key: String, _ value: Value, expires: Duration? = nil
    ) throws -> Bool {
        try set(key, stored: StoredValue(value, codec: codec), expires: expires, if: .ifPresent)
    }

    /// The path of nearly every `set`. Returns false if nothing was done.
    ///
    /// Its caller has the arguments for what comes then: to keep them here would take registers that the work needs.
    @usableFromInline
    func putQuickly(_ key: String, _ kind: ValueKind, _ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let key = ShortKey(key) else { return false }
        return table.quickPut(key, key.hash(table.secrets), kind, bytes)
    }

    /// As `putQuickly`, for the lengths that it does not try.
    private func putLessQuickly(_ key: String, _ kind: ValueKind, _ bytes: UnsafeRawBufferPointer) -> Bool {
        if isShortRun(bytes.count), ShortKey(key) != nil { return false }
        return key.utf8.withContiguousStorageIfAvailable { table.quickPut(UnsafeRawBufferPointer($0), kind, bytes) }
            ?? false
    }

    /// The part of `set` that knows the type. Inlined into the caller, where it is the few instructions that lend the
    /// bytes.
    @inlinable @inline(__always)
    func put<Value: SharedValue>(
        _ key: String, _ value: Value, _ expires: Duration?, if condition: PutCondition
    ) throws(StoreError) -> Bool {
        var failure: StoreError?
        let isDone = value.withSharedBytes { put(key, $0, $1, expires, condition, &failure) }
        if let failure { throw failure }
        return isDone
    }

    /// The part of `set` that is the same for all types.
    @usableFromInline
    func put(
        _ key: String, _ kind: ValueKind, _ bytes: UnsafeRawBufferPointer, _ expires: Duration?,
        _ condition: PutCondition, _ failure: inout StoreError?
    ) -> Bool {
        if expires == nil, condition == .always, putLessQuickly(key, kind, bytes) { return true }
        do throws(StoreError) {
            let expiry = try expiryWord(after: expires)
            return try withKey(key) { (raw) throws(StoreError) in
                try table.put(raw, kind, bytes, expiry: expiry, if: condition)
            }
        } catch {
            failure = error
            return false
        }
    }

    /// Removes a key.
    ///
    /// - Parameter ignoringMissing: false throws `.missingKey` when it is not there.
    /// - Returns: whether it was there.
    @discardableResult
    public func delete(_ key: String, ignoringMissing: Bool = true) throws(StoreError) -> Bool {
        let wasThere = try withKey(key) { (raw) throws(StoreError) in try table.delete(raw) }
        if !wasThere && !ignoringMissing { throw StoreError(.missingKey, key: key) }
        return wasThere
    }

    /// As `delete(_:ignoringMissing:)`, by liteyuki's name.
    @discardableResult
    public func delete(_ key: String, ignoreKeyError: Bool) throws(StoreError) -> Bool {
        try delete(key, ignoringMissing: ignoreKeyError)
    }

    /// Adds to an integer, in one step. A missing key counts as 0 and is created. Its expiry stays.
    ///
    /// - Returns: the sum.
    /// - Throws: `.mismatch` if the value is not an integer, `.overflow`. The value is then unchanged.
    @inlinable
    @discardableResult
    public func increment(_ key: String, by amount: Int64 = 1) throws(StoreError) -> Int64 {
        if let sum = incrementQuickly(key, by: amount) { return sum }
        return try incrementSlowly(key, by: amount)
    }

    /// The path of nearly every `increment`. Returns nil if nothing was done.
    @usableFromInline
    func incrementQuickly(_ key: String, by amount: Int64) -> Int64? {
        guard let key = ShortKey(key) else { return nil }
        return table.quickIncrement(key, by: amount)
    }

    @usableFromInline
    func incrementSlowly(_ key: String, by amount: Int64) throws(StoreError) -> Int64 {
        if ShortKey(key) == nil {
            let sum = key.utf8.withContiguousStorageIfAvailable {
                table.quickIncrement(UnsafeRawBufferPointer($0), by: amount)
            }
            if let sum, let sum { return sum }
        }
        return try withKey(key) { (raw) throws(StoreError) in try table.increment(raw, by: amount) }
    }

    /// Replaces the value if it is `expected` (nil: if the key is not there) by `new` (nil: removes it).
    ///
    /// Compares kind and bytes. The new value's expiry replaces the old one.
    ///
    /// - Returns: whether it was replaced.
    public func compareAndSet<Value: SharedValue>(
        _ key: String, expecting expected: Value?, to new: Value?, expires: Duration? = nil
    ) throws(StoreError) -> Bool {
        try compareAndSet(
            key, expectingStored: expected.map { StoredValue($0) }, to: new.map { StoredValue($0) }, expires: expires)
    }

    /// As `compareAndSet`, by the store's codec, which must make the same bytes of equal values.
    public func compareAndSet<Value: Codable & Sendable>(
        _ key: String, expecting expected: Value?, to new: Value?, expires: Duration? = nil
    ) throws -> Bool {
        try compareAndSet(
            key, expectingStored: expected.map { try StoredValue($0, codec: codec) },
            to: new.map { try StoredValue($0, codec: codec) }, expires: expires)
    }

    package func compareAndSet(
        _ key: String, expectingStored expected: StoredValue?, to new: StoredValue?, expires: Duration?
    ) throws(StoreError) -> Bool {
        let expiry = try expiryWord(after: expires)
        return try withKey(key) { (raw) throws(StoreError) in
            try table.compareAndSet(raw, expecting: expected, to: new, expiry: expiry)
        }
    }

    /// Carries out a step of several keys: all of it or nothing, for every reader and through every crash.
    ///
    /// - Returns: false when a requirement did not hold.
    /// - Throws: `.badStep`, and what the changes can throw. Nothing has changed then.
    public func perform(_ step: AtomicStep) throws(StoreError) -> Bool {
        try table.perform(step)
    }

    /// Gives an existing key a new life span. If nil, it lives forever.
    ///
    /// - Returns: whether it was there.
    public func setLife(_ key: String, _ expires: Duration?) throws(StoreError) -> Bool {
        let expiry = try expiryWord(after: expires)
        return try withKey(key) { (raw) throws(StoreError) in try table.setExpiry(raw, expiry) }
    }

    /// Removes every key that begins with `prefix` and is there all the time.
    ///
    /// - Returns: how many.
    @discardableResult
    public func removeAll(prefix: String = "") throws(StoreError) -> Int {
        var removed = 0
        var patience = table.patience
        for key in keys(prefix: prefix) {
            if try withKey(key, { (raw) throws(StoreError) in try table.delete(raw, &patience) }) { removed += 1 }
        }
        return removed
    }

    /// Removes expired entries. Otherwise their memory is freed when room is needed.
    ///
    /// - Returns: how many.
    @discardableResult
    public func removeExpired() throws(StoreError) -> Int {
        try table.sweep()
    }

    /// Publishes a message to every subscriber of `channel` in every process. Does not wait for subscribers.
    ///
    /// - Throws: `.messageTooLarge`, or `.busy` if a publisher is stopped in the middle of its message.
    @inlinable
    public func publish<Value: SharedValue>(_ channel: String, _ value: Value) throws(StoreError) {
        var failure: StoreError?
        value.withSharedBytes { publish(channel, $0, $1, &failure) }
        if let failure { throw failure }
    }

    /// The part of `publish` that is the same for all types.
    @usableFromInline
    func publish(
        _ channel: String, _ kind: ValueKind, _ bytes: UnsafeRawBufferPointer, _ failure: inout StoreError?
    ) {
        do throws(StoreError) {
            try withKey(channel) { (name) throws(StoreError) in try table.publish(name, kind, bytes) }
        } catch {
            failure = error
        }
    }

    /// As `publish`, by the store's codec.
    public func publish<Value: Codable & Sendable>(_ channel: String, _ value: Value) throws {
        try publish(channel, stored: StoredValue(value, codec: codec))
    }

    package func publish(_ channel: String, stored value: StoredValue) throws(StoreError) {
        var failure: StoreError?
        value.bytes.withUnsafeBytes { publish(channel, value.kind, $0, &failure) }
        if let failure { throw failure }
    }
}
