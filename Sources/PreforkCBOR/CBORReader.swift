// The items of a document that has been checked.

/// CBOR items by their offsets. Offsets come from the reader itself, and the document is checked once
/// (`checkDocument`). An invalid offset would still not trap: it yields no head.
struct CBORReader {
    let bytes: [UInt8]

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// The head at an offset, or nil if it is truncated or reserved. A break is `.simple` and indefinite.
    @inline(__always)
    func head(at offset: Int) -> CBORHead? {
        guard offset < bytes.count, let major = CBORMajor(rawValue: bytes[offset] >> 5) else { return nil }
        let detail = bytes[offset] & 0x1F
        guard detail < CBORHead.oneByte else { return longHead(major, detail, at: offset) }
        return CBORHead(major: major, detail: detail, argument: UInt64(detail), end: offset + 1)
    }

    private func longHead(_ major: CBORMajor, _ detail: UInt8, at offset: Int) -> CBORHead? {
        guard detail <= CBORHead.eightBytes else {
            guard detail == CBORHead.indefinite else { return nil }
            return CBORHead(major: major, detail: detail, argument: 0, end: offset + 1)
        }
        let size = 1 << Int(detail - CBORHead.oneByte)
        guard bytes.count - offset > size else { return nil }
        var argument: UInt64 = 0
        for position in offset + 1...offset + size { argument = argument << 8 | UInt64(bytes[position]) }
        return CBORHead(major: major, detail: detail, argument: argument, end: offset + 1 + size)
    }

    /// The head of the item at an offset, behind its tags.
    @inline(__always)
    func item(at offset: Int) -> CBORHead? {
        guard let head = head(at: offset) else { return nil }
        return head.major == .tag ? item(behind: head) : head
    }

    private func item(behind tag: CBORHead) -> CBORHead? {
        var head: CBORHead? = tag
        while let tag = head, tag.major == .tag, !tag.isIndefinite { head = self.head(at: tag.end) }
        return head
    }

    func isBreak(at offset: Int) -> Bool {
        offset >= bytes.count || bytes[offset] == CBORSimple.break
    }

    /// The offset after the item at an offset. Recurses as deep as the check has allowed.
    func end(of offset: Int) -> Int {
        guard let head = item(at: offset) else { return bytes.count }
        switch head.major {
        case .unsigned, .negative, .simple, .tag:
            return head.end
        case .bytes, .text:
            guard head.isIndefinite else { return contentEnd(of: head) }
            return items(of: head).end(in: self)
        case .array, .map:
            return items(of: head).end(in: self)
        }
    }

    /// The offset after the content of a string of definite length.
    func contentEnd(of head: CBORHead) -> Int {
        head.end + min(Int(clamping: head.argument), bytes.count - head.end)
    }

    /// The items in an array, a map (keys and values) or a string of indefinite length (its pieces).
    func items(of head: CBORHead) -> CBORItems {
        guard !head.isIndefinite else { return CBORItems(offset: head.end, remaining: nil) }
        let count = Int(clamping: head.argument)
        return CBORItems(offset: head.end, remaining: head.major == .map ? count.multipliedClamping(by: 2) : count)
    }
}

/// A position among the items of a container.
struct CBORItems {
    var offset: Int
    /// If nil, up to the break.
    var remaining: Int?

    func isAtEnd(in reader: CBORReader) -> Bool {
        if let remaining { remaining <= 0 || offset >= reader.bytes.count } else { reader.isBreak(at: offset) }
    }

    mutating func skip(in reader: CBORReader) {
        offset = reader.end(of: offset)
        if let remaining { self.remaining = remaining - 1 }
    }

    /// Passes over a key and its value.
    mutating func skipEntry(valueAt valueOffset: Int, in reader: CBORReader) {
        offset = reader.end(of: valueOffset)
        if let remaining { self.remaining = remaining - 2 }
    }

    /// The offset after the container.
    func end(in reader: CBORReader) -> Int {
        var items = self
        while !items.isAtEnd(in: reader) { items.skip(in: reader) }
        return remaining == nil ? min(items.offset + 1, reader.bytes.count) : items.offset
    }

    func count(in reader: CBORReader) -> Int {
        if let remaining { return remaining }
        var items = self
        var count = 0
        while !items.isAtEnd(in: reader) {
            items.skip(in: reader)
            count += 1
        }
        return count
    }
}

extension Int {
    fileprivate func multipliedClamping(by factor: Int) -> Int {
        let (product, overflow) = multipliedReportingOverflow(by: factor)
        return overflow ? .max : product
    }
}
