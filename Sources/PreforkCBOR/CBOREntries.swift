// The search for a key in a map.

/// The entries of a map, searched from where the last key was found: most types ask in the order of writing, so that
/// each search ends at its first or second step.
struct CBOREntries {
    private let first: CBORItems
    /// At the key that was found last.
    private var next: CBORItems
    /// Entries that were passed over in vain.
    private var passed = 0

    /// - Parameter items: the keys and values of a map.
    init(_ items: CBORItems) {
        first = items
        next = items
    }

    /// The type decodes in quite another order: time for a `CBORKeyIndex`.
    var isSlow: Bool { passed > 1024 }

    /// The offset of a key's value.
    mutating func find(_ key: some CodingKey, in reader: CBORReader) -> Int? {
        var name = key.stringValue
        return name.withUTF8 { name in
            search(from: next, until: nil, in: reader, for: name, key)
                ?? (next.offset == first.offset
                    ? nil : search(from: first, until: next.offset, in: reader, for: name, key))
        }
    }

    private mutating func search(
        from begin: CBORItems, until stop: Int?, in reader: CBORReader, for name: UnsafeBufferPointer<UInt8>,
        _ key: some CodingKey
    ) -> Int? {
        var items = begin
        while !items.isAtEnd(in: reader), items.offset != stop {
            guard let head = reader.item(at: items.offset) else { return nil }
            let isText = head.major == .text && !head.isIndefinite
            let valueOffset = isText ? reader.contentEnd(of: head) : reader.end(of: items.offset)
            if isText ? reader.isText(of: head, name) : isRareKey(key, name, at: items.offset, head, in: reader) {
                next = items
                return valueOffset
            }
            items.skipEntry(valueAt: valueOffset, in: reader)
            passed += 1
        }
        return nil
    }

    /// Integers, and text in pieces.
    private func isRareKey(
        _ key: some CodingKey, _ name: UnsafeBufferPointer<UInt8>, at offset: Int, _ head: CBORHead,
        in reader: CBORReader
    ) -> Bool {
        switch head.major {
        case .text: (try? reader.string(at: offset)).map { $0.utf8.elementsEqual(name) } ?? false
        case .unsigned, .negative: (try? reader.integer(at: offset)).map { $0 == key.intValue } ?? false
        default: false
        }
    }

    /// Calls `body` with the offsets of each key and its value.
    func forEach(in reader: CBORReader, _ body: (_ key: Int, _ value: Int) -> Void) {
        var items = first
        while !items.isAtEnd(in: reader) {
            let key = items.offset
            items.skip(in: reader)
            body(key, items.offset)
            items.skip(in: reader)
        }
    }
}

/// The keys of a map by hash, with the offsets of their values: reading a map of n entries must not take n * n steps.
final class CBORKeyIndex {
    private var names: [String: Int] = [:]
    private var numbers: [Int: Int] = [:]

    init(_ entries: CBOREntries, in reader: CBORReader) {
        entries.forEach(in: reader) { key, value in
            if let name = try? reader.string(at: key) {
                if names[name] == nil { names[name] = value }
            } else if let number: Int = try? reader.integer(at: key), numbers[number] == nil {
                numbers[number] = value
            }
        }
    }

    func find(_ key: some CodingKey) -> Int? {
        names[key.stringValue] ?? key.intValue.flatMap { numbers[$0] }
    }
}

extension CBORReader {
    fileprivate func isText(of head: CBORHead, _ text: UnsafeBufferPointer<UInt8>) -> Bool {
        guard head.argument == UInt64(text.count) else { return false }
        return bytes.withUnsafeBufferPointer { bytes in
            guard bytes.count - head.end >= text.count else { return false }
            for position in 0..<text.count where bytes[head.end + position] != text[position] { return false }
            return true
        }
    }
}
