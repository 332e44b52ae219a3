// Asking a store.

extension SharedStore {
    /// The value of a key, or nil if the key is missing or has expired.
    ///
    /// - Throws: `.mismatch` if the value is of another type, or `.badKey`.
    @inlinable
    public func get<Value: SharedValue>(
        _ key: String, as type: Value.Type = Value.self
    ) throws(StoreError) -> Value? {
        // A text is copied once, into its own memory. Where the type is known, the compiler decides the comparison.
        if Value.self == String.self, let text = textQuickly(key), let value = text as? Value { return value }
        var value: Value?
        let kind = try fetch(key) { kind, bytes in value = Value(sharedBytes: bytes, kind: kind) }
        if let kind, value == nil { throw mismatch(key, kind, "\(Value.self)") }
        return value
    }

    /// Calls `body` once with the bytes of a value, whatever its type. It makes no array and no string of them.
    ///
    /// The bytes are a copy, whole as one process stored them, and do not change while `body` runs. Up to 1 KiB lies on
    /// the stack.
    ///
    /// ```swift
    /// let length = try store.withValue("frame") { bytes in bytes.byteCount }
    /// ```
    ///
    /// - Parameter body: gets the bytes, valid only during the call. A `String` has its UTF-8, an integer and a `Double`
    ///   eight bytes in the machine's order. A value of the store's codec begins with the codec's `identifier`.
    /// - Returns: what `body` returned, or nil if the key is missing or has expired: `body` was not called.
    /// - Throws: `.badKey`.
    @inlinable
    public func withValue<Result>(_ key: String, _ body: (RawSpan) -> Result) throws(StoreError) -> Result? {
        var result: Result?
        _ = try fetch(key) { _, bytes in result = body(bytes.bytes) }
        return result
    }

    /// The path of nearly every `get` of a text. If nil, nothing is known of the key.
    @usableFromInline
    func textQuickly(_ key: String) -> String? {
        if let short = ShortKey(key) { return table.quickText(short) }
        let text = key.utf8.withContiguousStorageIfAvailable { table.quickText(UnsafeRawBufferPointer($0)) }
        return text ?? nil
    }

    /// Calls `body` once with a whole copy of a value, valid during the call. Returns its kind, or nil if the key is
    /// missing.
    ///
    /// The part of `get` that is the same for all types: what a program compiles for its own types stays small.
    @usableFromInline
    func fetch(_ key: String, _ body: (ValueKind, UnsafeRawBufferPointer) -> Void) throws(StoreError) -> ValueKind? {
        // 1 KiB is what the runtime takes from the stack. A larger value gets a separate array.
        let copied: ValueKind? = withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 16) { buffer in
            guard let copied = copyQuickly(key, buffer.baseAddress!, 1024),
                let kind = ValueKind(rawValue: copied.kindBits)
            else { return nil }
            body(kind, UnsafeRawBufferPointer(start: buffer.baseAddress, count: copied.valueBytes))
            return kind
        }
        if let copied { return copied }
        guard let stored = try stored(key) else { return nil }
        stored.bytes.withUnsafeBytes { body(stored.kind, $0) }
        return stored.kind
    }

    @inline(__always)
    private func copyQuickly(_ key: String, _ target: UnsafeMutableRawPointer, _ room: Int) -> PlainEntry? {
        if let short = ShortKey(key), let copied = table.quickCopy(short, to: target, room: room) { return copied }
        let copied = key.utf8.withContiguousStorageIfAvailable {
            table.quickCopy(UnsafeRawBufferPointer($0), to: target, room: room)
        }
        return copied ?? nil
    }

    @usableFromInline
    func mismatch(_ key: String, _ kind: ValueKind, _ asked: String) -> StoreError {
        StoreError(.mismatch(ValueMismatch(stored: kind, asked: asked)), key: key)
    }

    /// The value of a key, or `fallback` when it is not there or has expired.
    @inlinable
    public func get<Value: SharedValue>(_ key: String, default fallback: Value) throws(StoreError) -> Value {
        try get(key) ?? fallback
    }

    /// The value of a key, read by the store's codec, or nil if the key is missing or has expired.
    ///
    /// - Throws: `StoreError`, or what the codec throws for bytes that are not a `Value`.
    public func get<Value: Codable & Sendable>(_ key: String, as type: Value.Type = Value.self) throws -> Value? {
        guard let stored = try stored(key) else { return nil }
        do {
            return try stored.decoded(as: type, codec: codec)
        } catch let mismatch as ValueMismatch {
            throw StoreError(.mismatch(mismatch), key: key)
        }
    }

    /// The value of a key, or `fallback` when it is not there or has expired.
    public func get<Value: Codable & Sendable>(_ key: String, default fallback: Value) throws -> Value {
        try get(key) ?? fallback
    }

    /// The value of a key whatever its type.
    public func stored(_ key: String) throws(StoreError) -> StoredValue? {
        try withKey(key) { (raw) throws(StoreError) in
            try table.check(raw, 0)
            return table.read(raw, table.hash(raw)) { view, _ in view.copiedValue(table) }
        }
    }

    /// Copies the bytes of a value to `buffer`, without any allocation.
    ///
    /// - Returns: how many bytes the value has, or nil if the key is missing or has expired.
    /// - Throws: `.valueTooLarge` when the buffer is too small.
    @inlinable
    public func get(_ key: String, into buffer: UnsafeMutableRawBufferPointer) throws(StoreError) -> Int? {
        if let start = buffer.baseAddress {
            let count = getQuickly(key, start, buffer.count)
            if count >= 0 { return count }
        }
        return try getSlowly(key, into: buffer)
    }

    /// The path of nearly every `get`. Returns -1 if no value was found.
    @usableFromInline
    func getQuickly(_ key: String, _ target: UnsafeMutableRawPointer, _ room: Int) -> Int {
        if table.layout.evicts { return getAndTouch(key, target, room) }
        guard let key = ShortKey(key) else { return -1 }
        return table.quickestCopy(key, to: target, room: room)
    }

    /// The same where it counts as a use of the key.
    @inline(never)
    private func getAndTouch(_ key: String, _ target: UnsafeMutableRawPointer, _ room: Int) -> Int {
        guard let key = ShortKey(key) else { return -1 }
        return table.quickCopy(key, to: target, room: room)?.valueBytes ?? -1
    }

    @usableFromInline
    func getSlowly(_ key: String, into buffer: UnsafeMutableRawBufferPointer) throws(StoreError) -> Int? {
        if let start = buffer.baseAddress {
            let copied = key.utf8.withContiguousStorageIfAvailable {
                table.quickCopy(UnsafeRawBufferPointer($0), to: start, room: buffer.count)
            }
            if let copied, let copied { return copied.valueBytes }
        }
        return try withKey(key) { (raw) throws(StoreError) in
            try table.check(raw, 0)
            let count: Int? = table.read(raw, table.hash(raw)) { view, _ in
                guard let start = buffer.baseAddress, view.valueBytes <= buffer.count else { return view.valueBytes }
                return view.copyValue(to: start, table) ? view.valueBytes : nil
            }
            if let count, count > buffer.count { throw StoreError(.valueTooLarge(bytes: count, limit: buffer.count)) }
            return count
        }
    }

    /// The values of several keys as they all were at one moment. Missing keys are left out.
    public func get(several keys: [String]) throws(StoreError) -> [String: StoredValue] {
        let found = try table.load(several: keys.map { Array($0.utf8) })
        // Two keys of different bytes can be equal as strings: "é" can be one scalar or two.
        return Dictionary(found.map { (String(decoding: $0.key, as: UTF8.self), $0.value) }) { first, _ in first }
    }

    /// Whether a key is there.
    public func contains(_ key: String) throws(StoreError) -> Bool {
        try withKey(key) { (raw) throws(StoreError) in
            try table.check(raw, 0)
            return table.read(raw, table.hash(raw)) { _, _ in true } ?? false
        }
    }

    /// How long a key still lives: nil if it is missing, `.some(nil)` if it lives forever.
    public func remainingLife(_ key: String) throws(StoreError) -> Duration?? {
        try withKey(key) { (raw) throws(StoreError) in
            try table.check(raw, 0)
            let expiry: UInt64? = table.read(raw, table.hash(raw)) { view, _ in view.expiry }
            return expiry.map { PreforkStore.remainingLife($0) }
        }
    }

    /// How many keys there are. Expired ones do not count.
    public var count: Int { table.count() }

    /// All keys that begin with `prefix`, in no particular order.
    ///
    /// One pass over the stripes: each stripe's keys as they were at one moment, one stripe after the other. A key that
    /// is there all the time is among them, exactly once.
    public func keys(prefix: String = "") -> [String] {
        var patience = table.patience
        return (0..<table.layout.stripes).flatMap { stripe in
            table.snapshot(stripe, prefix: Array(prefix.utf8), wantsValues: false, &patience)
                .map { String(decoding: $0.key, as: UTF8.self) }
        }
    }

    /// All entries whose key begins with `prefix`, from the same kind of pass as `keys`.
    public func getAll(prefix: String = "") -> [String: StoredValue] {
        var all: [String: StoredValue] = [:]
        var patience = table.patience
        for stripe in 0..<table.layout.stripes {
            for (key, value) in table.snapshot(stripe, prefix: Array(prefix.utf8), wantsValues: true, &patience) {
                all[String(decoding: key, as: UTF8.self)] = value
            }
        }
        return all
    }

    /// All entries whose key begins with `prefix`, as one type.
    ///
    /// - Throws: `StoreError` `.mismatch` if an entry is of another type, or what the codec throws.
    public func getAll<Value: Codable & Sendable>(prefix: String = "", as type: Value.Type) throws -> [String: Value] {
        let coding = ValueCoding<Value>(codec: codec)
        var all: [String: Value] = [:]
        for (key, stored) in getAll(prefix: prefix) {
            do {
                all[key] = try stored.bytes.withUnsafeBytes { try coding.decode(stored.kind, $0) }
            } catch let mismatch as ValueMismatch {
                throw StoreError(.mismatch(mismatch), key: key)
            }
        }
        return all
    }
}
