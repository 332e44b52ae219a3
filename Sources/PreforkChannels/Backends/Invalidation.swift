// "These keys are not what they were", as a message between near caches.

import PreforkStore

/// The keys of one change. On the way: for each key four bytes of length, little-endian, then its UTF-8.
struct Invalidation: Equatable {
    var keys: [String]

    init(of keys: [String]) {
        self.keys = keys
    }

    /// - Returns: nil for what no near cache has sent.
    init?(_ value: StoredValue) {
        guard value.kind == .bytes else { return nil }
        keys = []
        var rest = value.bytes[...]
        while !rest.isEmpty {
            guard rest.count >= 4 else { return nil }
            let count = rest.prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
            rest = rest.dropFirst(4)
            guard rest.count >= count, let key = String(validating: rest.prefix(count), as: UTF8.self) else {
                return nil
            }
            keys.append(key)
            rest = rest.dropFirst(count)
        }
    }

    var message: StoredValue {
        var bytes: [UInt8] = []
        for key in keys {
            let utf8 = Array(key.utf8)
            withUnsafeBytes(of: UInt32(truncatingIfNeeded: utf8.count).littleEndian) { bytes.append(contentsOf: $0) }
            bytes += utf8
        }
        return StoredValue(bytes)
    }
}
