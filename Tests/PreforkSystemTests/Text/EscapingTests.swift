// Text of others, as each of its readers gets it.

import PreforkSystem
import PreforkTestSupport
import Testing

@Suite struct EscapingTests {
    /// What an attacker may put into a name, and how a log line, a terminal's page, a label and JSON escape it.
    struct Case: CustomTestStringConvertible, Sendable {
        let text: ForeignText
        let line: String
        let page: String
        let prometheus: String
        let json: String
        var testDescription: String { line }

        init(_ text: String, line: String, page: String? = nil, prometheus: String, json: String) {
            self.text = ForeignText(text)
            self.line = line
            self.page = page ?? line
            self.prometheus = prometheus
            self.json = json
        }
    }

    private static func plain(_ text: String) -> Case { Case(text, line: text, prometheus: text, json: text) }

    static let cases = [
        plain(""), plain("plain text, 100 %"), plain("größer · 日本語 👩‍👩‍👧"), plain("<script>alert('1')</script> &amp;"),
        Case("a\nb", line: "a\\u{A}b", page: "a\nb", prometheus: "a\\nb", json: "a\\nb"),
        Case("a\tb", line: "a\\u{9}b", page: "a\tb", prometheus: "a\tb", json: "a\\tb"),
        Case(
            "\r\n", line: "\\u{D}\\u{A}", page: "\\u{D}\n", prometheus: "\r\\n", json: "\\r\\n"),
        Case("\u{1B}[31m", line: "\\u{1B}[31m", prometheus: "\u{1B}[31m", json: "\\u001B[31m"),
        Case("\u{9B}2J", line: "\\u{9B}2J", prometheus: "\u{9B}2J", json: "\\u009B2J"),
        Case("\u{7F}\u{0}", line: "\\u{7F}\\u{0}", prometheus: "\u{7F}\u{0}", json: "\\u007F\\u0000"),
        Case("\u{202E}fdp.exe", line: "\\u{202E}fdp.exe", prometheus: "\u{202E}fdp.exe", json: "\\u202Efdp.exe"),
        Case("a\u{2028}b", line: "a\\u{2028}b", prometheus: "a\u{2028}b", json: "a\\u2028b"),
        Case("\u{FEFF}x\u{85}", line: "\\u{FEFF}x\\u{85}", prometheus: "\u{FEFF}x\u{85}", json: "\\uFEFFx\\u0085"),
        Case("\u{E0001}", line: "\\u{E0001}", prometheus: "\u{E0001}", json: "\\uDB40\\uDC01"),
        Case(#"C:\temp "x""#, line: #"C:\temp "x""#, prometheus: #"C:\\temp \"x\""#, json: #"C:\\temp \"x\""#),
        Case("a\"} 1\nup 0\\", line: "a\"} 1\\u{A}up 0\\", page: "a\"} 1\nup 0\\",
            prometheus: "a\\\"} 1\\nup 0\\\\", json: "a\\\"} 1\\nup 0\\\\"),
    ]

    @Test(arguments: cases) func `Each reader gets text`(_ each: Case) {
        #expect(each.text.escaped(for: .log) == each.line)
        #expect(each.text.escaped(for: .terminal) == each.line)
        #expect(each.text.escaped(for: .terminalPage) == each.page)
        #expect(each.text.escaped(for: .prometheus) == each.prometheus)
        #expect(each.text.escaped(for: .json) == each.json)
    }

    @Test func `Bytes that are no UTF-8 are replaced, and no byte after them is swallowed`() {
        let text = ForeignText(decoding: [0x61, 0xFF, 0xC3, 0x28, 0xE2, 0x80, 0x0A, 0xED, 0xA0, 0x80, 0x62])
        #expect(text.escaped(for: .log).hasPrefix("a\u{FFFD}\u{FFFD}(\u{FFFD}\\u{A}\u{FFFD}"))
        #expect(text.escaped(for: .log).hasSuffix("b"))
        #expect(text.escaped(for: .json).contains("\\n"))
    }

    @Test func `A limit cuts what is shown, and says how much it was`() {
        let text = ForeignText(String(repeating: "\u{1B}", count: 10) + "é")
        #expect(text.escaped(for: .log, atMost: 12) == text.escaped(for: .log))
        #expect(text.escaped(for: .log, atMost: 2) == "\\u{1B}\\u{1B} ... (10 more bytes)")
        // Within a character.
        #expect(text.escaped(for: .log, atMost: 11).hasSuffix("\\u{1B}\u{FFFD} ... (1 more bytes)"))
    }

    /// The compiler refuses `"\(text)"`, `text.description` and so on. What asks as the program runs gets this.
    @Test func `Whoever shows it without a word for whom shows a line`() {
        let text = ForeignText("a\n\u{1B}[31m")
        let line = "a\\u{A}\\u{1B}[31m"
        #expect(String(describing: text) == line)
        #expect(String(describing: [text]) == "[\"\(line)\"]")
        #expect(String(describing: Optional(text)) == "Optional(\"\(line)\")")
        var printed = ""
        print(text, to: &printed)
        dump(text, to: &printed)
        #expect(!printed.dropLast().contains("\u{1B}"), "\(printed)")
    }

    /// Whatever the text, nothing is left that a reader would obey.
    @Test func `Random text is harmless afterwards`() {
        var random = SplitMix64(seed: 14)
        for _ in 0..<2_000 {
            var text = ""
            for _ in 0..<20 {
                if let scalar = Unicode.Scalar(UInt32(truncatingIfNeeded: random.next() % 0x3000)) {
                    text.unicodeScalars.append(scalar)
                }
            }
            for reader in [ForeignText.Reader.log, .terminal, .json] {
                #expect(!ForeignText(text).escaped(for: reader).unicodeScalars.contains(where: Escaping.hides))
            }
            let page = ForeignText(text).escaped(for: .terminalPage).unicodeScalars
            #expect(page.allSatisfy { !Escaping.hides($0) || $0 == "\n" || $0 == "\t" })
            #expect(!ForeignText(text).escaped(for: .prometheus).contains("\n"))
        }
    }

    /// A line that is escaped as a whole may have parts that were escaped before.
    @Test(arguments: cases) func `Twice is as once for a line`(_ each: Case) {
        #expect(ForeignText(each.line).escaped(for: .log) == each.line)
    }

    @Test func `A client's own name forges no line`() {
        let address = SocketAddress.unix(path: "\0x\n2026-01-01T00:00:00.000Z prefork[1] info: all is well\u{1B}[0m")
        #expect("\(address)" == "unix:@x\\u{A}2026-01-01T00:00:00.000Z prefork[1] info: all is well\\u{1B}[0m")
        #expect("\(SystemError("connect", .connectionRefused, on: "\(address)"))".contains("\n") == false)
    }

    @Test func `A huge name takes little room in a line, and says how much is left out`() {
        #expect(Escaping.brief("short\n") == "short\\u{A}")
        #expect(Escaping.brief(String(repeating: "x", count: 200)).utf8.count == 200)
        let brief = Escaping.brief(String(repeating: "\u{1B}", count: 1_000))
        #expect(brief == String(repeating: "\\u{1B}", count: 200) + " ... (800 more bytes)")
    }
}
