// The Accept-Encoding field (RFC 9110, section 12.5.3).

/// Which codings of a file a client takes.
struct AcceptedEncodings {
    private var weights: [String: Double] = [:]

    /// - Parameter values: of all fields of that name. Without one, no coding is used.
    init(_ values: [String]) {
        for member in values.flatMap({ $0.split(separator: ",") }) {
            let parts = member.split(separator: ";").map { Self.trim($0).lowercased() }
            guard let name = parts.first, !name.isEmpty else { continue }
            var weight = 1.0
            for parameter in parts.dropFirst() where parameter.hasPrefix("q=") {
                weight = Self.weight(parameter.dropFirst(2)) ?? 0
            }
            weights[name == "x-gzip" ? "gzip" : name] = weight
        }
    }

    /// - Parameter coding: in lower case.
    func allows(_ coding: String) -> Bool { (weights[coding] ?? weights["*"] ?? 0) > 0 }

    /// `0`, `1`, and up to three decimals (section 12.4.2). Nil for anything else.
    private static func weight(_ text: Substring) -> Double? {
        let digits = Array(text.utf8)
        guard let first = digits.first, first == UInt8(ascii: "0") || first == UInt8(ascii: "1"), digits.count <= 5
        else { return nil }
        var weight = Double(first - UInt8(ascii: "0"))
        guard digits.count > 1 else { return weight }
        guard digits[1] == UInt8(ascii: ".") else { return nil }
        var place = 0.1
        for digit in digits[2...] {
            guard digit.isDigit else { return nil }
            weight += Double(digit - UInt8(ascii: "0")) * place
            place /= 10
        }
        return weight <= 1 ? weight : nil
    }

    private static func trim(_ text: Substring) -> String {
        let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" }
        var rest = text.drop(while: isSpace)
        while let last = rest.last, isSpace(last) { rest.removeLast() }
        return String(rest)
    }
}
