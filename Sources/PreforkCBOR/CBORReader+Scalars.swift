// Items of a checked document as values of the standard library's types.

/// Why an item is no value of a type.
enum CBORMismatch: Error {
    case otherType
    /// A number that the type has not.
    case outOfRange
    /// A time was asked for, and no tag says what the number or text is.
    case noTime
}

extension CBORReader {
    func isNil(at offset: Int) -> Bool {
        guard let head = item(at: offset), head.major == .simple else { return false }
        return head.detail == CBORSimple.null & 0x1F || head.detail == CBORSimple.undefined & 0x1F
    }

    func boolean(at offset: Int) throws(CBORMismatch) -> Bool {
        guard let head = item(at: offset), head.major == .simple else { throw .otherType }
        switch head.detail {
        case CBORSimple.true & 0x1F: return true
        case CBORSimple.false & 0x1F: return false
        default: throw .otherType
        }
    }

    func integer<Number: FixedWidthInteger>(at offset: Int) throws(CBORMismatch) -> Number {
        guard let head = item(at: offset) else { throw .otherType }
        switch head.major {
        case .unsigned:
            guard let number = Number(exactly: head.argument) else { throw .outOfRange }
            return number
        case .negative where head.argument <= UInt64(Int64.max):
            guard let number = Number(exactly: ~Int64(head.argument)) else { throw .outOfRange }
            return number
        default:
            guard let number = try wideInteger(at: offset).exactly(Number.self) else { throw .outOfRange }
            return number
        }
    }

    /// Integers and decimal fractions, too: other languages write 1.0 as 1.
    func double(at offset: Int) throws(CBORMismatch) -> Double {
        guard let head = item(at: offset) else { throw .otherType }
        switch (head.major, head.detail) {
        case (.simple, CBORHead.twoBytes):
            return Double(Float16(bitPattern: UInt16(truncatingIfNeeded: head.argument)))
        case (.simple, CBORHead.fourBytes):
            return Double(Float(bitPattern: UInt32(truncatingIfNeeded: head.argument)))
        case (.simple, CBORHead.eightBytes):
            return Double(bitPattern: head.argument)
        case (.unsigned, _):
            guard let number = Double(exactly: head.argument) else { throw .outOfRange }
            return number
        case (.negative, _):
            if head.argument == .max { return -0x1p64 }
            guard let number = Double(exactly: head.argument + 1) else { throw .outOfRange }
            return -number
        case (.bytes, _):
            guard let number = try wideInteger(at: offset).double else { throw .outOfRange }
            return number
        case (.array, _):
            let (exponent, mantissa) = try decimalParts(at: offset)
            guard let number = Double("\(mantissa.magnitude)e\(exponent)"), number.isFinite else { throw .outOfRange }
            return mantissa.isNegative ? -number : number
        default:
            throw .otherType
        }
    }

    /// Rounds like `Float(Double)`, but a finite number never becomes infinite.
    func float(at offset: Int) throws(CBORMismatch) -> Float {
        let number = try double(at: offset)
        let single = Float(number)
        guard single.isFinite || !number.isFinite else { throw .outOfRange }
        return single
    }

    func string(at offset: Int) throws(CBORMismatch) -> String {
        guard let head = item(at: offset), head.major == .text else { throw .otherType }
        guard head.isIndefinite else { return text(of: head) }
        var text = ""
        var pieces = items(of: head)
        while !pieces.isAtEnd(in: self), let piece = self.head(at: pieces.offset) {
            text += self.text(of: piece)
            pieces.offset = contentEnd(of: piece)
        }
        return text
    }

    private func text(of head: CBORHead) -> String {
        bytes.withUnsafeBufferPointer { bytes in
            String(decoding: UnsafeBufferPointer(rebasing: bytes[head.end..<contentEnd(of: head)]), as: UTF8.self)
        }
    }

    func byteString(at offset: Int) throws(CBORMismatch) -> [UInt8] {
        guard !isNumbers(at: offset) else { throw .otherType }
        return try rawBytes(at: offset)
    }

    /// The bytes of a byte string, whatever its tag says that they are.
    func rawBytes(at offset: Int) throws(CBORMismatch) -> [UInt8] {
        guard let head = item(at: offset), head.major == .bytes else { throw .otherType }
        guard head.isIndefinite else { return Array(bytes[head.end..<contentEnd(of: head)]) }
        var whole: [UInt8] = []
        var pieces = items(of: head)
        while !pieces.isAtEnd(in: self), let piece = self.head(at: pieces.offset) {
            let end = contentEnd(of: piece)
            whole.append(contentsOf: bytes[piece.end..<end])
            pieces.offset = end
        }
        return whole
    }

    /// For messages: the name of the item found.
    func name(ofItemAt offset: Int) -> String {
        guard let head = item(at: offset) else { return "nothing" }
        switch head.major {
        case .unsigned, .negative: return "an integer"
        case .bytes: return isNumbers(at: offset) ? "a large number or an array of numbers" : "a byte string"
        case .text: return "a text"
        case .array: return isFraction(at: offset) ? "a fraction" : "an array"
        case .map: return "a map"
        case .tag: return "a tag"
        case .simple:
            if isNil(at: offset) { return "null" }
            if head.detail >= CBORHead.twoBytes { return "a float" }
            return head.argument == 20 || head.argument == 21 ? "a boolean" : "a simple value"
        }
    }
}
