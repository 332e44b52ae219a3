// The escaping of foreign text for each kind of reader. See `ForeignText`.

package enum Escaping {
    /// Characters that would end the line, move the cursor, colour, or hide or reorder the text beside them become
    /// escapes such as `\u{1B}`. Nothing else changes, so that plain text stays as it is.
    ///
    /// A line feed forges a separate line, ESC commands a terminal (also one that shows the log), and bidirectional
    /// controls make a reader see text that differs from the bytes (CVE-2021-42574).
    static func line(_ text: String) -> String {
        if text.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) { return text }
        // As bytes: a String that grows by scalars is slow, and the text comes from a peer that may want it to be slow.
        var result: [UInt8] = []
        result.reserveCapacity(text.utf8.count * 2)
        for scalar in text.unicodeScalars {
            if scalar.isASCII, scalar.value >= 0x20, scalar.value != 0x7F {
                result.append(UInt8(scalar.value))
            } else if hides(scalar) {
                result.append(contentsOf: "\\u{".utf8)
                append(hexadecimal: scalar.value, to: &result)
                result.append(UInt8(ascii: "}"))
            } else {
                // Each scalar has an encoding.
                result.append(contentsOf: UTF8.encode(scalar)!)
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    private static func append(hexadecimal number: UInt32, to bytes: inout [UInt8]) {
        let digits = max(1, (35 - number.leadingZeroBitCount) / 4)
        for digit in (0..<UInt32(digits)).reversed() {
            let value = UInt8(number >> (digit * 4) & 15)
            bytes.append(value < 10 ? value + UInt8(ascii: "0") : value - 10 + UInt8(ascii: "A"))
        }
    }

    /// Like `line`, for a name or path inside an error. The text may be huge: it is cut after 200 bytes, and the result
    /// says how many bytes are missing.
    package static func brief(_ text: String) -> String {
        let limit = 200
        guard text.utf8.count > limit else { return line(text) }
        let beginning = String(decoding: text.utf8.prefix(limit), as: UTF8.self)
        return "\(line(beginning)) ... (\(text.utf8.count - limit) more bytes)"
    }

    static func page(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            if scalar == "\n" || scalar == "\t" {
                result.unicodeScalars.append(scalar)
            } else {
                append(scalar, to: &result)
            }
        }
        return result
    }

    /// Backslash, quote and line feed are escaped there, and nothing else is (Prometheus, exposition formats).
    static func prometheusLabel(_ value: String) -> String {
        var result = ""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\"": result += "\\\""
            case "\n": result += "\\n"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// RFC 8259, 7. Beyond what JSON requires, invisible characters are escaped, too, because people read the text.
    static func json(_ text: String) -> String {
        // As bytes, as in `line`.
        var result: [UInt8] = []
        result.reserveCapacity(text.utf8.count * 2)
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\"".utf8
            case "\\": result += "\\\\".utf8
            case "\n": result += "\\n".utf8
            case "\r": result += "\\r".utf8
            case "\t": result += "\\t".utf8
            case " "..."~": result.append(UInt8(scalar.value))
            case _ where hides(scalar):
                for unit in String(scalar).utf16 { result += "\\u\(hex(UInt32(unit), digits: 4))".utf8 }
            // Each scalar has an encoding.
            default: result.append(contentsOf: UTF8.encode(scalar)!)
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    private static func append(_ scalar: Unicode.Scalar, to result: inout String) {
        if hides(scalar) {
            result += "\\u{\(hex(scalar.value, digits: 1))}"
        } else {
            result.unicodeScalars.append(scalar)
        }
    }

    private static func hex(_ number: UInt32, digits: Int) -> String {
        let text = String(number, radix: 16, uppercase: true)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }

    /// Controls, line ends and invisible formatting characters. Joiners are excluded, because some scripts need them.
    package static func hides(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x20..<0x7F: return false
        case ..<0x20, 0x7F..<0xA0: return true
        // The replacement for each byte that is not UTF-8.
        case 0xFFFD: return false
        default: break
        }
        return switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: true
        case .format: scalar.value != 0x200C && scalar.value != 0x200D
        default: false
        }
    }
}
