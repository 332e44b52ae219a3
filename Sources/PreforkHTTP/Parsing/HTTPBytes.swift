// Classes of bytes in HTTP's grammar, and comparisons of runs of them with known words.

/// A place for each byte, with a T for those of a token.
private let tokenTable: StaticString = """
    ................................\
    .T.TTTTT..TT.TT.TTTTTTTTTT......\
    .TTTTTTTTTTTTTTTTTTTTTTTTTT...TT\
    TTTTTTTTTTTTTTTTTTTTTTTTTTT.T.T.\
    ................................\
    ................................\
    ................................\
    ................................
    """

extension UInt8 {
    static var tab: UInt8 { 9 }
    static var lf: UInt8 { 10 }
    static var cr: UInt8 { 13 }
    static var space: UInt8 { 32 }

    /// A character of a method or a field name: tchar of RFC 9110, 5.6.2. By a table, because names are gone through
    /// character by character: 6 instructions each, where a mask of bits takes 11 (Swift 6.3.1, x86-64).
    @inline(__always)
    var isToken: Bool { tokenTable.utf8Start[Int(self)] == UInt8(ascii: "T") }

    /// What no field value has (RFC 9110, 5.5): control characters but the tab. With a bare CR, LF or NUL requests are
    /// smuggled past proxies.
    @inline(__always)
    var isForbiddenInValue: Bool { self < 32 && self != .tab || self == 127 }

    /// A character of a request target. What is beyond visible ASCII must be percent-encoded (RFC 9112, 3.2), and a
    /// fragment is never sent (RFC 9110, 7.1).
    @inline(__always)
    var isTarget: Bool { self > 32 && self < 127 && self != UInt8(ascii: "#") }

    @inline(__always)
    var isDigit: Bool { self &- UInt8(ascii: "0") < 10 }

    /// The value of a hexadecimal digit, or nil for another character.
    @inline(__always)
    var hexadecimal: UInt8? {
        if isDigit { return self - UInt8(ascii: "0") }
        let letter = (self | 0x20) &- UInt8(ascii: "a")
        return letter < 6 ? letter + 10 : nil
    }

    @inline(__always)
    var lowercased: UInt8 { self &- UInt8(ascii: "A") < 26 ? self | 0x20 : self }
}

extension StaticString {
    /// Its UTF-8. Valid for the life of the program.
    var bytes: UnsafeRawBufferPointer {
        // Only a literal of a single Unicode scalar may have no pointer, and only if its type says so.
        UnsafeRawBufferPointer(start: utf8Start, count: utf8CodeUnitCount)
    }
}

extension UnsafeRawBufferPointer {
    /// The bytes in `range`, which must be within these.
    @inline(__always)
    func part(_ range: Range<Int>) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: self[range])
    }

    /// Whether both are the same bytes. Both have the same count.
    @inline(__always)
    func hasSameBytes(as other: UnsafeRawBufferPointer) -> Bool {
        var index = 0
        while index &+ 8 <= count {
            if loadUnaligned(fromByteOffset: index, as: UInt64.self)
                != other.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            {
                return false
            }
            index &+= 8
        }
        while index < count {
            if self[index] != other[index] { return false }
            index &+= 1
        }
        return true
    }

    /// Whether these bytes are `word`.
    @inline(__always)
    func spell(_ word: StaticString) -> Bool {
        guard count == word.utf8CodeUnitCount else { return false }
        for index in 0..<count where self[index] != word.utf8Start[index] { return false }
        return true
    }

    /// Whether these bytes are `word` in any case.
    ///
    /// - Parameter word: in lower case.
    @inline(__always)
    func spellInAnyCase(_ word: StaticString) -> Bool {
        guard count == word.utf8CodeUnitCount else { return false }
        for index in 0..<count where self[index].lowercased != word.utf8Start[index] { return false }
        return true
    }

    func isEqualInAnyCase(to other: UnsafeRawBufferPointer) -> Bool {
        guard count == other.count else { return false }
        for index in 0..<count where self[index].lowercased != other[index].lowercased { return false }
        return true
    }

    /// Whether all bytes are characters of a token.
    var isToken: Bool {
        let count = count
        var index = 0
        while index < count, self[index].isToken { index &+= 1 }
        return index == count
    }

    /// Whether a byte is one that no field value has.
    var hasForbidden: Bool {
        guard count >= 8 else {
            for index in 0..<count where self[index].isForbiddenInValue { return true }
            return false
        }
        var index = 0
        while true {
            // Of eight bytes, the highest bit of each that is below 32 or is 127, and perhaps of one above such a byte.
            // Those are looked at one by one (Bit Twiddling Hacks, "Determine if a word has a byte less than n").
            let word = loadUnaligned(fromByteOffset: index, as: UInt64.self)
            let low = (word &- 0x2020_2020_2020_2020) & ~word
            let delete = word ^ 0x7F7F_7F7F_7F7F_7F7F
            if (low | (delete &- 0x0101_0101_0101_0101) & ~delete) & 0x8080_8080_8080_8080 != 0 {
                for place in index..<index &+ 8 where self[place].isForbiddenInValue { return true }
            }
            if index == count &- 8 { return false }
            // The last word may begin within the one before it.
            index = Swift.min(index &+ 8, count &- 8)
        }
    }

    /// Without spaces and tabs at both ends.
    var trimmed: UnsafeRawBufferPointer {
        var (start, end) = (0, count)
        while start < end, self[start] == .space || self[start] == .tab { start += 1 }
        while end > start, self[end - 1] == .space || self[end - 1] == .tab { end -= 1 }
        return part(start..<end)
    }

    /// Calls `body` with each member of a list with commas, trimmed. Empty members are left out (RFC 9110, 5.6.1).
    @inline(__always)
    func forEachMember(_ body: (UnsafeRawBufferPointer) -> Void) {
        var start = 0
        for index in 0...count where index == count || self[index] == UInt8(ascii: ",") {
            let member = part(start..<index).trimmed
            if member.count > 0 { body(member) }
            start = index + 1
        }
    }
}
