// Seeded requests that are damaged at random: one reading however they are cut, and never a trap.

import PreforkSystem
import Testing

@testable import PreforkHTTP

@Suite(.timeLimit(.minutes(5))) struct ParserFuzzTests {
    private static let pieces = [
        "GET ", "POST ", "/", "/a?b=c", "http://a/b", "*", " HTTP/1.1", " HTTP/1.0", "\r\n", "\r\n\r\n", "\r", "\n", "\0",
        "Host: a", "Host: a\r\n", "Content-Length: 5", "Content-Length: 0\r\n", "Transfer-Encoding: chunked", "hello",
        "Connection: close", "Expect: 100-continue", "TE: trailers", "X: y", " ", "\t", ":", ",", ";", "5\r\nhello\r\n",
        "0\r\n\r\n", "0\r\nA: b\r\n\r\n", "1;x=y\r\nz\r\n", "ffffffffffffffff", "9999999999999999999", "\u{E9}", "#", "[::1]",
    ]

    private static func request(_ random: inout SplitMix64) -> [UInt8] {
        var text = ""
        for _ in 0..<1 + random.below(3) {
            let method = ["GET", "POST", "HEAD", "PUT"][random.below(4)]
            let target = ["/", "/x/y?z", "http://h:1/p", "/a%20b"][random.below(4)]
            text += "\(method) \(target) HTTP/1.\(random.below(2))\r\nHost: h\r\n"
            for index in 0..<random.below(4) { text += "F\(index): \(String(repeating: "v", count: random.below(9)))\r\n" }
            switch random.below(3) {
            case 0: text += "\r\n"
            case 1:
                let body = String(repeating: "b", count: random.below(20))
                text += "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
            default:
                text += "Transfer-Encoding: chunked\r\n\r\n"
                for _ in 0..<random.below(3) {
                    let data = String(repeating: "d", count: 1 + random.below(20))
                    text += "\(String(data.utf8.count, radix: 16))\r\n\(data)\r\n"
                }
                text += random.below(2) == 0 ? "0\r\n\r\n" : "0\r\nT: u\r\n\r\n"
            }
        }
        return Array(text.utf8)
    }

    private static func damage(_ bytes: [UInt8], _ random: inout SplitMix64) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<random.below(4) {
            let place = random.below(bytes.count + 1)
            switch random.below(5) {
            case 0: bytes.insert(contentsOf: pieces[random.below(pieces.count)].utf8, at: place)
            case 1 where place < bytes.count: bytes[place] = UInt8(truncatingIfNeeded: random.next())
            case 2 where place < bytes.count: bytes.remove(at: place)
            case 3 where place < bytes.count:
                let end = min(bytes.count, place + random.below(20))
                bytes.insert(contentsOf: bytes[place..<end], at: place)
            default: bytes.removeSubrange(place..<min(bytes.count, place + random.below(10)))
            }
        }
        return bytes
    }

    @Test(arguments: 0..<8) func damagedRequestsHaveOneReading(seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        var (requests, refusals) = (0, 0)
        for _ in 0..<2_000 {
            let bytes = Self.damage(Self.request(&random), &random)
            let headLimit = random.below(3) == 0 ? 64 + random.below(100) : 16 * 1024
            let whole = reading(bytes, headLimit: headLimit, fieldLimit: 5)
            requests += whole.count
            if let last = whole.last, Int(last) != nil || last == "malformedBody" { refusals += 1 }
            let text = String(decoding: bytes, as: UTF8.self).debugDescription
            let single = reading(bytes, cuts: Array(1..<max(2, bytes.count)), headLimit: headLimit, fieldLimit: 5)
            #expect(single == whole, "byte by byte: \(text)")
            for _ in 0..<4 {
                let cuts = (0..<1 + random.below(6)).map { _ in random.below(bytes.count + 1) }.sorted()
                let cut = reading(bytes, cuts: cuts, headLimit: headLimit, fieldLimit: 5)
                #expect(cut == whole, "cut at \(cuts): \(text)")
            }
        }
        // Both kinds were there: a generator that makes nothing but garbage proves little.
        #expect(requests > 1_000 && refusals > 200)
    }

    @Test(arguments: 0..<4) func garbageIsNeverATrap(seed: Int) {
        var random = SplitMix64(seed: UInt64(100 + seed))
        for _ in 0..<2_000 {
            var bytes: [UInt8] = []
            for _ in 0..<random.below(30) { bytes += Self.pieces[random.below(Self.pieces.count)].utf8 }
            for _ in 0..<random.below(10) { bytes.append(UInt8(truncatingIfNeeded: random.next())) }
            let whole = reading(bytes, headLimit: 200, fieldLimit: 5)
            #expect(reading(bytes, cuts: Array(1..<max(2, bytes.count)), headLimit: 200, fieldLimit: 5) == whole)
        }
    }
}
