// Fields, statuses, methods and dates.

import Glibc
import PreforkTestSupport
import Testing

@testable import PreforkHTTP

@Suite struct HTTPFieldsTests {
    @Test func namesAreComparedInAnyCaseAndOrderIsKept() throws {
        var fields: HTTPFields = ["A": "1", "b": "2"]
        try fields.append("a", "3")
        #expect(fields["A"] == "1, 3" && fields["B"] == "2" && fields["c"] == nil)
        #expect(fields.values(of: "a") == ["1", "3"] && fields.values(of: "c") == [])
        #expect(fields.map { "\($0.name)=\($0.value)" } == ["A=1", "b=2", "a=3"])
        #expect(fields.description == "A: 1\nb: 2\na: 3")
        try fields.set("A", "4")
        #expect(fields.map { "\($0.name)=\($0.value)" } == ["b=2", "A=4"])
        fields.remove("B")
        #expect(fields.count == 1 && !fields.isEmpty && fields == ["a": "4"])
        fields.remove("A")
        #expect(fields.isEmpty && fields == HTTPFields())
    }

    @Test func whatIsSentIsNameAndValueOfEachLine() throws {
        var fields = HTTPFields()
        try fields.append("X", " \tspaces \t")
        try fields.append("Empty", "")
        #expect(String(decoding: fields.bytes, as: UTF8.self) == "X: spaces\r\nEmpty: \r\n")
        #expect(fields["x"] == "spaces" && fields["empty"] == "")
    }

    @Test func aForbiddenByteIsFoundWhereverItStands() {
        for count in 1...20 {
            for place in 0..<count {
                for byte in UInt8.min ... .max {
                    var bytes = [UInt8](repeating: count % 2 == 0 ? 0x20 : 0xFF, count: count)
                    bytes[place] = byte
                    let isForbidden = byte < 32 && byte != 9 || byte == 127
                    mustHold(bytes.withUnsafeBytes { $0.hasForbidden } == isForbidden)
                }
            }
        }
    }

    @Test(arguments: ["a\r\nb", "a\r", "a\n", "\u{0}", "a\u{1F}", "\u{7F}", "a\r\nSet-Cookie: x=y"])
    func aValueCannotSplitAResponse(_ value: String) throws {
        var fields: HTTPFields = ["Before": "1"]
        #expect(throws: HTTPError(.badField(name: "X"))) { try fields.append("X", value) }
        #expect(throws: HTTPError(.badField(name: "before"))) { try fields.set("before", value) }
        #expect(fields == ["Before": "1"])
        #expect(throws: HTTPError(.badField(name: "Location"))) { _ = try HTTPResponse.redirect(to: value) }
    }

    @Test(arguments: ["", " ", "a b", "a:", "a\r\n", "\u{E9}", "a\u{0}", "(a)"])
    func aNameIsAToken(_ name: String) {
        var fields = HTTPFields()
        #expect(throws: HTTPError(.badField(name: name))) { try fields.append(name, "x") }
        #expect(fields.isEmpty && fields[name] == nil && !fields.contains(name))
    }

    @Test func listsHaveMembers() throws {
        var fields: HTTPFields = ["Connection": "keep-alive, Upgrade"]
        try fields.append("connection", ",TE ,")
        #expect(fields.contains("CONNECTION", token: "upgrade") && fields.contains("connection", token: "te"))
        #expect(!fields.contains("connection", token: "keep") && !fields.contains("connection", token: ""))
        #expect(fields.withValue(of: "connection") { $0.count } == 19)
        #expect(fields.withValue(of: "x") { $0.count } == nil)
    }

    @Test func theBytesOfAllFieldsAreThereInOrder() throws {
        struct Enough: Error, Equatable {}
        let fields: HTTPFields = ["A": "1", "b": "", "a": "2"]
        var lines: [String] = []
        fields.forEachField { lines.append("\(String(decoding: $0, as: UTF8.self))=\(String(decoding: $1, as: UTF8.self))") }
        #expect(lines == ["A=1", "b=", "a=2"])
        var count = 0
        #expect(throws: Enough()) {
            try fields.forEachField { _, _ in
                count += 1
                if count == 2 { throw Enough() }
            }
        }
        #expect(count == 2)
        HTTPFields().forEachField { _, _ in Issue.record("there is none") }
    }

    @Test func aViewOfAHeadBecomesFieldsOfItsOwnWhenItIsChanged() throws {
        let head = Array("GET / HTTP/1.1\r\nHost:a\r\nX:  y \r\n\r\n".utf8)
        var parser = RequestParser()
        #expect(head.withUnsafeBytes { parser.parse($0) } == .complete)
        var fields = HTTPFields(viewOf: head, parser.head.fields)
        let kept = fields
        try fields.append("Z", "1")
        #expect(String(decoding: fields.bytes, as: UTF8.self) == "Host: a\r\nX: y\r\nZ: 1\r\n")
        #expect(kept["X"] == "y" && kept["Z"] == nil && kept != fields)
        fields.remove("Z")
        #expect(kept == fields)
    }

    @Test func statusesHaveCodesAndPhrases() {
        #expect(HTTPStatus(99) == nil && HTTPStatus(600) == nil && HTTPStatus(-1) == nil && HTTPStatus(.max) == nil)
        #expect(HTTPStatus(200) == .ok && HTTPStatus.notFound.code == 404)
        #expect("\(HTTPStatus.headTooLarge)" == "431 Request Header Fields Too Large")
        #expect(HTTPStatus(299)?.reason == "" && HTTPStatus(299)?.description == "299")
    }

    @Test func methodsAreTheirNames() {
        for name in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", "PURGE", ""] {
            #expect(HTTPMethod(name).name == name && "\(HTTPMethod(name))" == name)
            let bytes = Array(name.utf8)
            #expect(bytes.withUnsafeBytes { HTTPMethod(kind: .init(token: $0)) } == HTTPMethod(name))
        }
        #expect(HTTPMethod("GET") == .get && HTTPMethod("get") != .get)
    }

    /// Beside the C library's, over eight centuries, with the days around each year's ends and leap days.
    @Test func datesAreThoseOfTheCLibrary() {
        #expect(HTTPDate.format(secondsSince1970: 784_111_777) == "Sun, 06 Nov 1994 08:49:37 GMT")
        #expect(HTTPDate.format(secondsSince1970: -1) == "Thu, 01 Jan 1970 00:00:00 GMT")
        #expect(HTTPDate.format(secondsSince1970: .max) == "Fri, 31 Dec 9999 23:59:59 GMT")
        for second in stride(from: 0, to: 25_000_000_000, by: 86_399 * 13) {
            var (time, parts) = (time_t(second), tm())
            gmtime_r(&time, &parts)
            var text = [CChar](repeating: 0, count: 64)
            strftime(&text, text.count, "%a, %d %b %Y %H:%M:%S GMT", &parts)
            let expected = text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
            guard HTTPDate.format(secondsSince1970: second) == expected else {
                Issue.record("\(second): \(HTTPDate.format(secondsSince1970: second)), not \(expected)")
                return
            }
        }
    }
}
