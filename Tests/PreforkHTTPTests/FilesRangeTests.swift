// Ranges at their limits, and the neighbours of files.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkHTTP

@Suite struct FilesRangeTests {
    @Test(arguments: [
        ([], .whole), (["bytes=0-0"], .parts([0..<1])), (["bytes=0-99"], .parts([0..<100])),
        (["bytes=0-100"], .parts([0..<100])), (["bytes=99-99"], .parts([99..<100])), (["bytes=99-"], .parts([99..<100])),
        (["bytes=0-"], .parts([0..<100])), (["bytes=100-"], .unsatisfiable), (["bytes=100-200"], .unsatisfiable),
        (["bytes=-1"], .parts([99..<100])), (["bytes=-100"], .parts([0..<100])), (["bytes=-101"], .parts([0..<100])),
        (["bytes=-0"], .unsatisfiable), (["BYTES=1-2"], .parts([1..<3])),
        (["bytes=0-9223372036854775807"], .parts([0..<100])), (["bytes=9223372036854775807-"], .unsatisfiable),
        (["bytes=0-99999999999999999999999999"], .parts([0..<100])),
        (["bytes=99999999999999999999999999-"], .unsatisfiable), (["bytes=-99999999999999999999999999"], .parts([0..<100])),
        (["bytes=0-0,2-2"], .parts([0..<1, 2..<3])), (["bytes= 0-0 ,\t2-2 "], .parts([0..<1, 2..<3])),
        (["bytes=,,0-0,,"], .parts([0..<1])), (["bytes=50-59,0-9"], .parts([50..<60, 0..<10])),
        (["bytes=0-9,10-19"], .parts([0..<10, 10..<20])), (["bytes=0-9,-10"], .parts([0..<10, 90..<100])),
        (["bytes=0-0,200-300"], .parts([0..<1])), (["bytes=200-,300-"], .unsatisfiable),
        // Ignored: overlapping, too many, malformed, of another unit, twice.
        (["bytes=0-9,9-19"], .whole), (["bytes=0-,0-"], .whole), (["bytes=0-0,1-1,2-2,3-3,4-4"], .whole),
        (["bytes=0-0,0-0"], .whole), (["bytes=5-4"], .whole), (["bytes=-"], .whole), (["bytes="], .whole),
        (["bytes=,"], .whole), (["bytes=a-b"], .whole), (["bytes=0-0,x"], .whole), (["bytes=1"], .whole),
        (["bytes=--1"], .whole), (["bytes=1--2"], .whole), (["bytes=+1-2"], .whole), (["bytes=0x0-1"], .whole),
        (["bytes 0-0"], .whole), (["bytes =0-0"], .whole), (["seconds=0-1"], .whole), (["0-0"], .whole), ([""], .whole),
        (["bytes=0 -0"], .whole), (["bytes=0-0", "bytes=1-1"], .whole), (["bytes=٠-١"], .whole),
    ] as [([String], ByteRanges)]) func aRangeIsWhatTheRFCSays(values: [String], ranges: ByteRanges) {
        #expect(ByteRanges(values, size: 100, limit: 4) == ranges)
        #expect(ByteRanges(values, size: 0, limit: 4) == .whole)
        #expect(ByteRanges(values, size: 100, limit: 0) == .whole)
        #expect(ByteRanges(values, size: 100, limit: .min) == .whole)
    }

    @Test func manyRangesCostNothing() {
        // CVE-2011-3192: the whole file many times.
        let many = "bytes=" + (0..<100_000).map { "\($0)-" }.joined(separator: ",")
        #expect(ByteRanges([many], size: 1 << 30, limit: 16) == .whole)
        var random = SplitMix64(seed: 14)
        for _ in 0..<20_000 {
            let pieces = ["bytes=", "-", ",", "0", "9", "99", " ", "18446744073709551616", "x", "="]
            let value = (0..<random.below(12)).map { _ in pieces[random.below(pieces.count)] }.joined()
            guard case .parts(let parts) = ByteRanges(["bytes=" + value], size: 100, limit: 4) else { continue }
            #expect(parts.count <= 4 && parts.allSatisfy { !$0.isEmpty && $0.lowerBound >= 0 && $0.upperBound <= 100 })
            #expect(parts.reduce(0) { $0 + $1.count } <= 100)
        }
    }

    @Test func oneRangeAndNoRangeHaveTheirFields() throws {
        let tree = try FilesTree()
        try tree.write("root/a.bin", (0..<100).map { UInt8($0) })
        let files = try tree.files()
        let one = try files.get("/a.bin", [("Range", "bytes=10-19")])
        #expect(one.status == .partialContent && one.fields["Content-Range"] == "bytes 10-19/100")
        #expect(try one.sent() == Array(10..<20))
        let none = try files.get("/a.bin", [("Range", "bytes=100-")])
        #expect(none.status == .rangeNotSatisfiable && none.fields["Content-Range"] == "bytes */100")
        // HEAD has no ranges (RFC 9110, section 14.2).
        let head = try files.get("/a.bin", method: .head, [("Range", "bytes=10-19")])
        #expect(head.status == .ok && head.count == 100 && head.fields["Content-Range"] == nil)
        let off = try tree.files { $0.maxRanges = 0 }.get("/a.bin", [("Range", "bytes=10-19")])
        #expect(off.status == .ok && off.fields["Accept-Ranges"] == "none")
        try tree.write("root/empty.txt", "")
        for range in ["bytes=0-", "bytes=-5", "bytes=0-0"] {
            let empty = try files.get("/empty.txt", [("Range", range)])
            #expect(empty.status == .ok && empty.count == 0)
        }
    }

    @Test func severalRangesAreTheBytesThatTheyAnnounce() throws {
        let ranges = [5..<7, 0..<1]
        let parts = FileSending.multipart(ranges, size: 10, mediaType: "text/plain", boundary: "b")
        let text = parts.map { part in
            switch part {
            case .bytes(let bytes): String(decoding: bytes, as: UTF8.self)
            case .range(let range): "<\(range)>"
            }
        }.joined()
        #expect(
            text == "--b\r\nContent-Type: text/plain\r\nContent-Range: bytes 5-6/10\r\n\r\n<5..<7>\r\n--b\r\n"
                + "Content-Type: text/plain\r\nContent-Range: bytes 0-0/10\r\n\r\n<0..<1>\r\n--b--\r\n")
        let tree = try FilesTree()
        try tree.write("root/a.txt", "0123456789")
        let response = try tree.files().get("/a.txt", [("Range", "bytes=5-6,0-0")])
        #expect(response.fields["Content-Type"]?.hasPrefix("multipart/byteranges; boundary=prefork-") == true)
        #expect(response.fields["Content-Range"] == nil && response.status == .partialContent)
        let again = try tree.files().get("/a.txt", [("Range", "bytes=5-6,0-0")])
        #expect(again.fields["Content-Type"] != response.fields["Content-Type"], "no file can have the boundary")
    }

    @Test func precompressedNeighboursAreSentToWhomTheySuit() throws {
        let tree = try FilesTree()
        try tree.write("root/a.js", "plain")
        try tree.write("root/a.js.gz", "gz")
        try tree.write("root/a.js.br", "br")
        try tree.write("root/b.js", "plain")
        try tree.makeDirectory("root/b.js.gz")
        try tree.write("root/c.js.gz", "gz")
        let files = try tree.files { $0.precompressed = true }
        for (accepted, coding, body) in [
            ("gzip, br", "br", "br"), ("gzip", "gzip", "gz"), ("x-gzip", "gzip", "gz"), ("GZIP;q=0.1", "gzip", "gz"),
            ("br;q=0, gzip", "gzip", "gz"), ("*", "br", "br"), ("br;q=0, *;q=0.5", "gzip", "gz"),
            ("gzip;q=0", nil, "plain"), ("deflate", nil, "plain"), ("", nil, "plain"), ("identity", nil, "plain"),
            ("gzip;q=2", nil, "plain"), ("gzip;q=x", nil, "plain"), ("gzip;q=0.0000", nil, "plain"), (";,;;", nil, "plain"),
        ] as [(String, String?, String)] {
            let response = try files.get("/a.js", [("Accept-Encoding", accepted)])
            #expect(response.fields["Content-Encoding"] == coding, "\(accepted)")
            #expect(try response.sent() == Array(body.utf8))
            #expect(response.fields["Vary"] == "Accept-Encoding")
            #expect(response.fields["Content-Type"] == "text/javascript; charset=utf-8")
        }
        let tags = try ["br", "gzip", "x"].map { try files.get("/a.js", [("Accept-Encoding", $0)]).fields["ETag"] }
        #expect(Set(tags).count == 3, "each coding is a version of its own")
        #expect(try files.get("/b.js", [("Accept-Encoding", "gzip")]).fields["Content-Encoding"] == nil)
        #expect(try files.status("/c.js", [("Accept-Encoding", "gzip")]) == 404)
        #expect(try tree.files().get("/a.js", [("Accept-Encoding", "gzip")]).fields["Vary"] == nil)
        #expect(try files.get("/a.js.gz").fields["Content-Type"] == "application/gzip")
    }

    @Test(arguments: [
        ("a.html", "text/html; charset=utf-8"), ("A.HTML", "text/html; charset=utf-8"), ("a.tar.gz", "application/gzip"),
        ("a.svg", "image/svg+xml"), ("a.wasm", "application/wasm"), ("a", "application/octet-stream"),
        ("a.", "application/octet-stream"), (".html", "application/octet-stream"), ("a.unknown", "application/octet-stream"),
        ("a.own", "text/x-own"), ("a.css", "text/x-mine"),
    ]) func typesFollowTheEndOfTheName(name: String, type: String) {
        #expect(MediaTypes.type(of: Array(name.utf8), own: ["own": "text/x-own", "css": "text/x-mine"]) == type)
    }

    @Test(arguments: ["a\r\nb", "a\0", "\u{7F}"]) func valuesThatAreNoFieldsAreRefusedAtOnce(value: String) throws {
        let tree = try FilesTree()
        #expect(throws: SystemError.self) { try tree.files { $0.cacheControl = value } }
        #expect(throws: SystemError.self) { try tree.files { $0.mediaTypes = ["x": value] } }
    }
}
