// The Range field (RFC 9110, section 14).

/// Which bytes a request asks for.
enum ByteRanges: Equatable {
    /// All of them: without a Range, and for one that is not understood or not worth its price.
    case whole
    /// 206.
    case parts([Range<Int>])
    /// 416: no byte of them exists.
    case unsatisfiable

    /// - Parameters:
    ///   - values: of all Range fields.
    ///   - size: of the file.
    ///   - limit: how many ranges are answered at a time. A request for more of them, or for overlapping ones, gets the
    ///     whole file: such ranges make a server send more than there is (CVE-2011-3192).
    init(_ values: [String], size: Int, limit: Int) {
        // Clients ask for ranges of empty files, and there is no range to answer with.
        guard values.count == 1, size > 0, limit > 0, let asked = Self.parse(values[0], limit: limit) else {
            self = .whole
            return
        }
        let parts = asked.compactMap { $0.range(in: size) }
        let ordered = parts.sorted { $0.lowerBound < $1.lowerBound }
        if parts.isEmpty {
            self = .unsatisfiable
        } else if zip(ordered, ordered.dropFirst()).contains(where: { $0.upperBound > $1.lowerBound }) {
            self = .whole
        } else {
            self = .parts(parts)
        }
    }

    private enum Asked {
        case from(Int, through: Int)
        case last(Int)

        func range(in size: Int) -> Range<Int>? {
            switch self {
            case .from(let first, let last): first < size ? first..<min(last, size - 1) + 1 : nil
            case .last(let count): count > 0 ? max(0, size - count)..<size : nil
            }
        }
    }

    /// - Returns: nil for what is no list of byte ranges, or too long a one.
    private static func parse(_ value: String, limit: Int) -> [Asked]? {
        let unit = "bytes="
        guard value.utf8.count >= unit.utf8.count, value.prefix(unit.count).lowercased() == unit else { return nil }
        var asked: [Asked] = []
        for member in value.dropFirst(unit.count).utf8.split(separator: UInt8(ascii: ",")) {
            let text = trim(member)
            if text.isEmpty { continue }
            guard asked.count < limit, let next = one(text) else { return nil }
            asked.append(next)
        }
        return asked.isEmpty ? nil : asked
    }

    private static func one(_ text: ArraySlice<UInt8>) -> Asked? {
        guard let dash = text.firstIndex(of: UInt8(ascii: "-")) else { return nil }
        let (left, right) = (text[..<dash], text[(dash + 1)...])
        if left.isEmpty { return number(right).map(Asked.last) }
        guard let first = number(left) else { return nil }
        if right.isEmpty { return .from(first, through: .max - 1) }
        guard let last = number(right), last >= first else { return nil }
        return .from(first, through: min(last, .max - 1))
    }

    /// A number that is larger than any file counts as the largest.
    private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
        guard !digits.isEmpty else { return nil }
        var number = 0
        for digit in digits {
            guard digit.isDigit else { return nil }
            let (product, isTooLarge) = number.multipliedReportingOverflow(by: 10)
            let (sum, overflows) = product.addingReportingOverflow(Int(digit - UInt8(ascii: "0")))
            number = isTooLarge || overflows || number == .max ? .max : sum
        }
        return number
    }

    private static func trim(_ member: Substring.UTF8View) -> ArraySlice<UInt8> {
        let isSpace: (UInt8) -> Bool = { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
        var rest = Array(member)[...].drop(while: isSpace)
        while let last = rest.last, isSpace(last) { rest.removeLast() }
        return rest
    }
}
