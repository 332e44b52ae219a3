// Checks that bytes are one CBOR item, whole and valid, before they are decoded.

/// What is wrong with a document.
struct CBORDefect: Error, CustomStringConvertible {
    /// In bytes from the document's begin.
    let offset: Int
    let reason: String

    var description: String { "invalid CBOR at byte \(offset): \(reason)" }
}

extension CBORReader {
    /// Checks that the bytes are one item without trailing bytes: lengths stay inside, text is UTF-8, no head is
    /// reserved, containers are not deeper than allowed. What decodes later need not check that again.
    func checkDocument(maximumDepth: Int) throws(CBORDefect) {
        let end = try checkedEnd(of: 0, levels: maximumDepth)
        guard end == bytes.count else {
            throw CBORDefect(offset: end, reason: "\(bytes.count - end) bytes after the end")
        }
    }

    /// - Parameter levels: so many containers may be nested from here. The limit bounds the recursion.
    private func checkedEnd(of offset: Int, levels: Int) throws(CBORDefect) -> Int {
        if offset < bytes.count, bytes[offset] >> 5 == CBORMajor.tag.rawValue { try checkTag(at: offset) }
        guard let head = item(at: offset) else {
            throw CBORDefect(offset: offset, reason: offset < bytes.count ? "cut off or reserved" : "cut off")
        }
        switch head.major {
        case .unsigned, .negative:
            guard !head.isIndefinite else { throw CBORDefect(offset: offset, reason: "a number without length") }
            return head.end
        case .simple:
            guard !head.isIndefinite else { throw CBORDefect(offset: offset, reason: "a break where no item is open") }
            guard head.detail != CBORHead.oneByte || head.argument >= 32 else {
                throw CBORDefect(offset: offset, reason: "a simple value in two bytes that has one")
            }
            return head.end
        case .bytes, .text:
            guard head.isIndefinite else { return try checkedEnd(ofString: head) }
            return try checkedEnd(ofPieces: head)
        case .array, .map:
            guard levels > 0 else { throw CBORDefect(offset: offset, reason: "nested too deeply") }
            return try checkedEnd(ofContainer: head, levels: levels - 1)
        case .tag:
            throw CBORDefect(offset: offset, reason: "a tag without number")
        }
    }

    /// A reference would be read as the number that it is: another value, and no error.
    private func checkTag(at offset: Int) throws(CBORDefect) {
        let tag = tag(at: offset)
        guard tag != CBORTag.stringReference, tag != CBORTag.sharedReference else {
            throw CBORDefect(offset: offset, reason: "a reference to an item that came before")
        }
    }

    private func checkedEnd(ofString head: CBORHead) throws(CBORDefect) -> Int {
        guard let count = Int(exactly: head.argument), count <= bytes.count - head.end else {
            throw CBORDefect(offset: head.end, reason: "a string of \(head.argument) bytes is cut off")
        }
        let end = head.end + count
        guard head.major == .bytes || isUTF8(head.end..<end) else {
            throw CBORDefect(offset: head.end, reason: "text that is not UTF-8")
        }
        return end
    }

    private func checkedEnd(ofPieces head: CBORHead) throws(CBORDefect) -> Int {
        var offset = head.end
        while let piece = self.head(at: offset) {
            if bytes[offset] == CBORSimple.break { return piece.end }
            guard piece.major == head.major, !piece.isIndefinite else {
                throw CBORDefect(offset: offset, reason: "not a piece of the string that is open")
            }
            offset = try checkedEnd(ofString: piece)
        }
        throw CBORDefect(offset: offset, reason: "a string without end")
    }

    private func checkedEnd(ofContainer head: CBORHead, levels: Int) throws(CBORDefect) -> Int {
        let itemsPerEntry = head.major == .map ? 2 : 1
        var offset = head.end
        guard head.isIndefinite else {
            // Each item has a byte at least: a count beyond them needs no reading.
            guard head.argument <= UInt64(bytes.count - offset) / UInt64(itemsPerEntry) else {
                throw CBORDefect(offset: offset, reason: "a container of \(head.argument) entries is cut off")
            }
            for _ in 0..<Int(head.argument) * itemsPerEntry { offset = try checkedEnd(of: offset, levels: levels) }
            return offset
        }
        while offset < bytes.count {
            if bytes[offset] == CBORSimple.break { return offset + 1 }
            for _ in 0..<itemsPerEntry { offset = try checkedEnd(of: offset, levels: levels) }
        }
        throw CBORDefect(offset: offset, reason: "a container without end")
    }

    private func isUTF8(_ range: Range<Int>) -> Bool {
        bytes.withUnsafeBufferPointer { bytes in
            let text = bytes[range]
            return text.allSatisfy { $0 < 0x80 } || String(validating: text, as: UTF8.self) != nil
        }
    }
}
