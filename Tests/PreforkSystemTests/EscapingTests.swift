// Text of others, as each of its readers gets it.

import PreforkSystem
import PreforkTestSupport
import Testing

@Suite struct EscapingTests {
    @Test(arguments: [
        ("plain text, 100 %", "plain text, 100 %"), ("größer · 日本語 👩‍👩‍👧", "größer · 日本語 👩‍👩‍👧"), ("", ""),
        ("a\nb", "a\\u{A}b"), ("\r\n", "\\u{D}\\u{A}"), ("\u{1B}[31m", "\\u{1B}[31m"), ("\u{9B}2J", "\\u{9B}2J"),
        ("\u{7F}\u{0}", "\\u{7F}\\u{0}"), ("\u{202E}fdp.exe", "\\u{202E}fdp.exe"), ("a\u{2028}b", "a\\u{2028}b"),
        ("\u{FEFF}x", "\\u{FEFF}x"), ("a\u{85}b", "a\\u{85}b"), ("C:\\temp", "C:\\temp"),
    ])
    func `A log line holds one line, and what is seen is what is there`(_ text: String, _ shown: String) {
        #expect(Escaping.log(text) == shown)
        #expect("\(ForeignText(text))" == shown)
        #expect("\(ForeignText(text).debugDescription)" == "\"\(shown)\"")
        #expect(String(describing: [ForeignText(text)]) == "[\"\(shown)\"]")
    }

    @Test func `A page keeps its lines and tabs`() {
        #expect(Escaping.terminalPage("a\tb\nc\u{1B}\r\n") == "a\tb\nc\\u{1B}\\u{D}\n")
    }

    @Test func `A label's value cannot end itself`() {
        #expect(Escaping.prometheusLabel("a\"} 1\nup 0\\") == "a\\\"} 1\\nup 0\\\\")
    }

    @Test func `A string in JSON has no raw control`() {
        var bytes: [UInt8] = []
        Escaping.json("a\"\\\n\r\t\u{0}\u{1B}\u{7F}\u{9B}é\u{202E}\u{E0001}", into: &bytes)
        #expect(
            String(decoding: bytes, as: UTF8.self)
                == #"a\"\\\n\r\t\u0000\u001B\u007F\u009Bé\u202E\uDB40\uDC01"#)
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
            #expect(!Escaping.log(text).unicodeScalars.contains(where: Escaping.hides))
            var bytes: [UInt8] = []
            Escaping.json(text, into: &bytes)
            #expect(!bytes.contains { $0 < 0x20 || $0 == 0x7F })
        }
    }

    @Test func `A client's own name forges no line`() {
        let address = SocketAddress.unix(path: "\0x\n2026-01-01T00:00:00.000Z prefork[1] info: all is well\u{1B}[0m")
        #expect("\(address)" == "unix:@x\\u{A}2026-01-01T00:00:00.000Z prefork[1] info: all is well\\u{1B}[0m")
        #expect("\(SystemError("connect", .connectionRefused, on: "\(address)"))".contains("\n") == false)
    }
}
