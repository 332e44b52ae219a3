// The bytes of a document while it is being written.

/// A growing run of CBOR items, with places where the bytes of another writer belong.
final class CBORWriter {
    // A separate buffer and not an Array: the fields are read and written, never held during a call. The compiler
    // therefore sees that no two accesses can overlap, and drops the checks, a quarter of the time.
    private var base: UnsafeMutablePointer<UInt8>
    private var capacity: Int
    private(set) var count = 0
    /// Containers that were written to after something else had followed them. In ascending order of offsets, and at
    /// equal offsets in the order of the document.
    private var insets: [(offset: Int, value: CBORValueEncoder)] = []

    init(capacity: Int) {
        self.capacity = max(capacity, 16)
        base = .allocate(capacity: self.capacity)
    }

    deinit { base.deallocate() }

    /// Proof: every write below asks here first for as many bytes as it is going to write at `count`.
    @inline(__always)
    private func reserve(_ more: Int) {
        if capacity - count < more { grow(by: more) }
    }

    private func grow(by more: Int) {
        let larger = max(capacity * 2, count + more)
        let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: larger)
        bytes.update(from: base, count: count)
        base.deallocate()
        base = bytes
        capacity = larger
    }

    func write(byte: UInt8) {
        reserve(1)
        base[count] = byte
        count += 1
    }

    private func write(_ more: UnsafeBufferPointer<UInt8>) {
        guard let first = more.baseAddress else { return }
        reserve(more.count)
        (base + count).update(from: first, count: more.count)
        count += more.count
    }

    func writeHead(_ major: CBORMajor, _ argument: UInt64) {
        let kind = major.rawValue << 5
        if argument < 24 {
            write(byte: kind | UInt8(truncatingIfNeeded: argument))
        } else if argument <= 0xFF {
            write(kind | CBORHead.oneByte, UInt8(truncatingIfNeeded: argument))
        } else if argument <= 0xFFFF {
            write(kind | CBORHead.twoBytes, UInt16(truncatingIfNeeded: argument))
        } else if argument <= 0xFFFF_FFFF {
            write(kind | CBORHead.fourBytes, UInt32(truncatingIfNeeded: argument))
        } else {
            write(kind | CBORHead.eightBytes, argument)
        }
    }

    @inline(__always)
    private func write<Number: FixedWidthInteger>(_ first: UInt8, _ number: Number) {
        let size = 1 + Number.bitWidth / 8
        reserve(size)
        base[count] = first
        UnsafeMutableRawPointer(base + count + 1).storeBytes(of: number.bigEndian, as: Number.self)
        count += size
    }

    /// Appends a whole item.
    func write(item other: CBORWriter) { write(UnsafeBufferPointer(start: other.base, count: other.count)) }

    var bytes: [UInt8] { Array(UnsafeBufferPointer(start: base, count: count)) }

    func writeNull() { write(byte: CBORSimple.null) }
    func write(_ value: Bool) { write(byte: value ? CBORSimple.true : CBORSimple.false) }

    func write(_ text: String) {
        var text = text
        text.withUTF8 { utf8 in
            writeHead(.text, UInt64(utf8.count))
            write(utf8)
        }
    }

    func write(_ value: [UInt8]) {
        writeHead(.bytes, UInt64(value.count))
        value.withUnsafeBufferPointer { write($0) }
    }

    /// A key of a map: its number where it has one.
    @inline(__always)
    func write(_ key: some CodingKey, as naming: CBORNaming) {
        switch naming {
        case .none: break
        case .text: write(key.stringValue)
        case .key: if let number = key.intValue { write(number) } else { write(key.stringValue) }
        }
    }

    func write(_ number: Int) {
        if number >= 0 {
            writeHead(.unsigned, UInt64(number))
        } else {
            writeHead(.negative, UInt64(~number))
        }
    }

    /// - Parameter number: of a type of at most 128 bits.
    func write<Number: FixedWidthInteger>(integer number: Number) {
        if Number.bitWidth > 64 {
            write(CBORWideInteger(isNegative: number < 0, magnitude: UInt128(truncatingIfNeeded: number.magnitude)))
        } else if Number.isSigned {
            write(Int(truncatingIfNeeded: number))
        } else {
            writeHead(.unsigned, UInt64(truncatingIfNeeded: number))
        }
    }

    /// The shortest of the three sizes that holds the number exactly.
    func write(_ number: Double) {
        let single = Float(number)
        if Double(single) == number || number.isNaN {
            write(single)
        } else {
            write(CBORMajor.simple.rawValue << 5 | CBORHead.eightBytes, number.bitPattern)
        }
    }

    func write(_ number: Float) {
        let half = Float16(number)
        if number.isNaN {
            write(CBORMajor.simple.rawValue << 5 | CBORHead.twoBytes, Float16.nan.bitPattern)
        } else if Float(half) == number {
            write(CBORMajor.simple.rawValue << 5 | CBORHead.twoBytes, half.bitPattern)
        } else {
            write(CBORMajor.simple.rawValue << 5 | CBORHead.fourBytes, number.bitPattern)
        }
    }
}

/// Containers: their head is written last, for only then is their count known.
extension CBORWriter {
    /// Replaces the byte at `start` by a container's head. The bytes behind it move if the head is longer.
    func setHead(at start: Int, _ major: CBORMajor, count entries: Int) {
        guard entries >= 24 else {
            base[start] = major.rawValue << 5 | UInt8(truncatingIfNeeded: entries)
            return
        }
        let head = CBORWriter(capacity: 9)
        head.writeHead(major, UInt64(entries))
        let more = head.count - 1
        reserve(more)
        // Proof: the room was reserved, and `update` allows the two ranges to overlap.
        (base + start + head.count).update(from: base + start + 1, count: count - start - 1)
        (base + start).update(from: head.base, count: head.count)
        count += more
        for position in insets.indices.reversed() {
            guard insets[position].offset > start else { break }
            insets[position].offset += more
        }
    }

    /// Forgets what was written from `mark` on.
    func truncate(to mark: Int) {
        count = min(mark, count)
        while let last = insets.last, last.offset > mark { insets.removeLast() }
    }

    /// Moves what was written from `start` on into a separate writer, which `value` will fill.
    func splitOff(from start: Int, for value: CBORValueEncoder) -> CBORWriter {
        let tail = CBORWriter(capacity: 64)
        tail.write(UnsafeBufferPointer(start: base + start, count: count - start))
        // A container's insets come after its head. An inset at `start` belongs to the item before.
        let first = insets.firstIndex { $0.offset > start } ?? insets.endIndex
        tail.insets = insets[first...].map { (offset: $0.offset - start, value: $0.value) }
        insets.removeSubrange(first...)
        count = start
        insets.append((offset: start, value: value))
        return tail
    }

    /// The document, with the insets at their places. No container may be written to any more.
    func assembled() throws -> [UInt8] {
        let bytes = UnsafeBufferPointer(start: base, count: count)
        guard !insets.isEmpty else { return Array(bytes) }
        var whole: [UInt8] = []
        var done = 0
        for inset in insets {
            whole.append(contentsOf: bytes[done..<inset.offset])
            done = inset.offset
            try inset.value.finish()
            whole.append(contentsOf: try inset.value.out.assembled())
        }
        whole.append(contentsOf: bytes[done...])
        return whole
    }
}
