// Text of others, in a form that its reader takes for text and for nothing else.

/// One function for each kind of reader. Whoever shows text that a worker, a client, a file or the kernel's tables have
/// given calls one of them; `ForeignText` is a String that cannot be shown without.
package enum Escaping {
    /// For a line of the log, and for a terminal: what would end the line, move the cursor, colour or hide or reorder
    /// what stands beside it becomes `\u{1B}`. Nothing else changes, so that plain text stays as it is.
    ///
    /// A line feed forges a line of its own, ESC commands a terminal (also one that shows the log), and the controls of
    /// bidirectional text make a reader see another text than is there (CVE-2021-42574).
    package static func log(_ text: String) -> String {
        if text.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) { return text }
        var result = ""
        for scalar in text.unicodeScalars { append(scalar, to: &result) }
        return result
    }

    /// For a terminal, lines and tabs as they are: for a text that is a page of its own.
    package static func terminalPage(_ text: String) -> String {
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

    /// For the value of a label in Prometheus' text: backslash, quote and line feed are escaped there, and nothing else
    /// is (Prometheus, exposition formats).
    package static func prometheusLabel(_ value: String) -> String {
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

    /// For a string in JSON (RFC 8259, 7), without its quotes. Beyond what JSON asks for, what hides is escaped, too: the
    /// text is looked at by people.
    package static func json(_ text: String, into bytes: inout [UInt8]) {
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": bytes += [UInt8(ascii: "\\"), UInt8(scalar.value)]
            case "\n": bytes += "\\n".utf8
            case "\r": bytes += "\\r".utf8
            case "\t": bytes += "\\t".utf8
            case _ where hides(scalar):
                for unit in String(scalar).utf16 { bytes += "\\u\(hex(UInt32(unit), digits: 4))".utf8 }
            default: bytes += String(scalar).utf8
            }
        }
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

    /// Controls, line ends, and what formats without being seen; not the joiners, without which some scripts cannot be
    /// written.
    package static func hides(_ scalar: Unicode.Scalar) -> Bool {
        if (0x20..<0x7F).contains(scalar.value) { return false }
        return switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: true
        case .format: scalar.value != 0x200C && scalar.value != 0x200D
        default: false
        }
    }
}

/// Text that somebody else has written: a thread's name, a peer's address, a message of a process that ended.
///
/// It has no way to be printed as it is: its description is what a log line may hold.
public struct ForeignText: Hashable, Sendable {
    /// For comparisons and for writers that escape by themselves (JSON, Prometheus).
    package let unescaped: String

    package init(_ text: some StringProtocol) {
        unescaped = String(text)
    }
}

extension ForeignText: CustomStringConvertible, CustomDebugStringConvertible {
    public var description: String { Escaping.log(unescaped) }
    public var debugDescription: String { "\"\(description)\"" }
}

extension ForeignText: ExpressibleByStringLiteral {
    /// What stands in the source is nobody else's, and harmless where foreign text is expected.
    public init(stringLiteral text: String) {
        self.init(text)
    }
}
