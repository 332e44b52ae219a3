// JSON: what is written can be read, and nothing else can.

import PreforkSystem
import Testing

@testable import PreforkSupervisor

@Suite(.timeLimit(.minutes(2)))
struct JSONTests {
    private func parse(_ text: String) throws(JSONError) -> JSONValue {
        try JSONParser.parse(Array(text.utf8))
    }

    @Test(arguments: [
        ("null", JSONValue.null), (" true ", .bool(true)), ("-0", .integer(0)), ("-12", .integer(-12)),
        ("1.5e3", .number(1500)), ("9223372036854775807", .integer(.max)),
        ("9223372036854775808", .number(9_223_372_036_854_775_808)),
        (#""a\"\\\/\b\f\n\r\té😀""#, .string("a\"\\/\u{8}\u{c}\n\r\té😀")),
        ("[]", .array([])), ("[1,[2]]", .array([.integer(1), .array([.integer(2)])])), ("{}", .object([])),
        (#"{"a":{"b":null}}"#, .object([.init("a", .object([.init("b", .null)]))])),
    ])
    func `JSON is read`(_ text: String, _ value: JSONValue) throws {
        #expect(try parse(text) == value)
    }

    @Test(arguments: [
        "", " ", "nul", "True", "01", "+1", "1.", ".5", "1e", "-", "0x1", "NaN", "1e999", "\"", "\"\\", "\"\\x\"",
        "\"\\u12\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\n\"", "'a'", "[", "[1", "[1,]", "[,1]",
        "[1 2]", "{",
        "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{\"a\":1,\"a\":2}", "1 2", "[]]", "//", "\u{FEFF}1", "\u{0}",
    ])
    func `What is no JSON is refused`(_ text: String) {
        #expect(throws: JSONError.self) { try parse(text) }
    }

    @Test func `Bytes that are no UTF-8 are refused`() {
        #expect(throws: JSONError.self) { try JSONParser.parse([0x22, 0xFF, 0x22]) }
        #expect(throws: JSONError.self) { try JSONParser.parse([0x22, 0xC0, 0x80, 0x22]) }
    }

    @Test func `Depth and size have limits`() throws {
        let deep = String(repeating: "[", count: 100_000)
        #expect(throws: JSONError(offset: 17, reason: "nested deeper than 16")) {
            try JSONParser.parse(Array(deep.utf8), sizeLimit: 1 << 20)
        }
        #expect(try parse(String(repeating: "[", count: 16) + String(repeating: "]", count: 16)).array != nil)
        #expect(throws: JSONError(offset: 4, reason: "longer than 4 bytes")) {
            try JSONParser.parse(Array("12345".utf8), sizeLimit: 4)
        }
    }

    @Test func `What is written is what is read`() throws {
        let value = JSONValue.object([
            .init("text", .string("\u{0}\u{1f}\u{7f}\"\\\n\té\u{2028}😀")),
            .init("numbers", .array([.integer(.min), .number(0.1), .number(-1e300)])),
            .init("none", .null), .init("flags", .array([.bool(true), .bool(false)])), .init("empty", .object([])),
        ])
        #expect(try JSONParser.parse(value.text) == value)
    }

    @Test func `Durations are written in seconds`() {
        func text(_ duration: Duration) -> String {
            var writer = JSONWriter()
            writer.value(duration)
            return String(decoding: writer.bytes, as: UTF8.self)
        }
        #expect(text(.milliseconds(1500)) == "1.500000")
        #expect(text(.seconds(3)) == "3")
        #expect(text(.microseconds(-1_000_001)) == "-1.000001")
        #expect(text(.nanoseconds(1)) == "0")
    }

    @Test func `Damaged documents are refused or read, and never trap`() throws {
        var numbers = SplitMix64(seed: 20)
        let document = Array(#"{"command":"scale","to":-12.5e3,"x":[true,null,"é\u00e9\ud83d\ude00",{"y":{}}]}"#.utf8)
        var read = 0
        for _ in 0..<50_000 {
            var bytes = document
            for _ in 0...numbers.below(4) {
                let place = numbers.below(bytes.count)
                switch numbers.below(4) {
                case 0: bytes[place] = UInt8(truncatingIfNeeded: numbers.next())
                case 1: bytes.remove(at: place)
                case 2: bytes.insert(document[numbers.below(document.count)], at: place)
                default: bytes.removeSubrange(place...)
                }
                if bytes.isEmpty { bytes = [0] }
            }
            guard let value = try? JSONParser.parse(bytes) else { continue }
            read += 1
            #expect(try JSONParser.parse(value.text) == value)
        }
        #expect(read > 0)
    }
}
