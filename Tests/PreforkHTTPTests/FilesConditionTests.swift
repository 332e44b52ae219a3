// Conditional requests, by the truth table of RFC 9110, section 13.2.2.

import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkHTTP

@Suite struct FilesConditionTests {
    private static let tag = EntityTag(opaque: "\"v1\"", isWeak: false)
    private static let weak = EntityTag(opaque: "\"v1\"", isWeak: true)
    /// Sun, 06 Nov 1994 08:49:37 GMT
    private static let modified = 784_111_777
    private static let date = "Sun, 06 Nov 1994 08:49:37 GMT"
    private static let before = "Sun, 06 Nov 1994 08:49:36 GMT"
    private static let after = "Sun, 06 Nov 1994 08:49:38 GMT"

    private func outcome(_ fields: [String: [String]], _ tag: EntityTag = tag) -> FileConditions.Outcome {
        FileConditions { fields[$0] ?? [] }
            .outcome(for: FileValidators(tag: tag, modified: Self.modified, now: Self.modified + 1_000))
    }

    @Test(arguments: [
        ([:], .proceed),
        // Step 1
        (["If-Match": ["*"]], .proceed), (["If-Match": ["\"v1\""]], .proceed),
        (["If-Match": ["\"v0\", \"v1\""]], .proceed), (["If-Match": ["\"v0\"", "\"v1\""]], .proceed),
        (["If-Match": ["\"v0\""]], .failed), (["If-Match": ["W/\"v1\""]], .failed), (["If-Match": ["v1"]], .failed),
        (["If-Match": [""]], .failed), (["If-Match": ["\"v1\"\"v1\""]], .failed),
        // Step 2, and only without If-Match
        (["If-Unmodified-Since": [date]], .proceed), (["If-Unmodified-Since": [after]], .proceed),
        (["If-Unmodified-Since": [before]], .failed), (["If-Unmodified-Since": ["nonsense"]], .proceed),
        (["If-Unmodified-Since": [before, before]], .proceed),
        (["If-Match": ["\"v1\""], "If-Unmodified-Since": [before]], .proceed),
        (["If-Match": ["\"v0\""], "If-Unmodified-Since": [after]], .failed),
        // Step 3
        (["If-None-Match": ["*"]], .notModified), (["If-None-Match": ["\"v1\""]], .notModified),
        (["If-None-Match": ["W/\"v1\""]], .notModified), (["If-None-Match": ["\"v0\",\t\"v1\""]], .notModified),
        (["If-None-Match": ["\"v0\""]], .proceed), (["If-None-Match": ["v1"]], .proceed),
        (["If-None-Match": ["w/\"v1\""]], .proceed),
        // Step 4, and only without If-None-Match
        (["If-Modified-Since": [date]], .notModified), (["If-Modified-Since": [after]], .notModified),
        (["If-Modified-Since": [before]], .proceed), (["If-Modified-Since": ["nonsense"]], .proceed),
        (["If-Modified-Since": [date, date]], .proceed), (["If-Modified-Since": ["Sunday, 06-Nov-94 08:49:37 GMT"]], .notModified),
        (["If-None-Match": ["\"v0\""], "If-Modified-Since": [date]], .proceed),
        (["If-None-Match": ["\"v1\""], "If-Modified-Since": [before]], .notModified),
        // All together: the earlier step wins.
        (["If-Match": ["\"v0\""], "If-None-Match": ["\"v1\""]], .failed),
        (["If-Match": ["\"v1\""], "If-None-Match": ["\"v1\""]], .notModified),
        (["If-Unmodified-Since": [before], "If-None-Match": ["\"v1\""]], .failed),
        (["If-Unmodified-Since": [date], "If-Modified-Since": [date]], .notModified),
    ] as [([String: [String]], FileConditions.Outcome)])
    func conditionsAreEvaluatedInTheirOrder(fields: [String: [String]], outcome: FileConditions.Outcome) {
        #expect(self.outcome(fields) == outcome)
    }

    @Test func aWeakTagMatchesWeaklyAlone() {
        #expect(outcome(["If-Match": ["\"v1\""]], Self.weak) == .failed)
        #expect(outcome(["If-Match": ["W/\"v1\""]], Self.weak) == .failed)
        #expect(outcome(["If-Match": ["*"]], Self.weak) == .proceed)
        #expect(outcome(["If-None-Match": ["\"v1\""]], Self.weak) == .notModified)
    }

    @Test(arguments: [
        ([], true), (["\"v1\""], true), (["\"v0\""], false), (["W/\"v1\""], false), (["\"v1\", \"v0\""], false),
        (["*"], false), ([date], true), ([before], false), ([after], false), (["nonsense"], false), ([""], false),
        (["\"v1\"", "\"v1\""], false), (["\"v1"], false),
    ]) func ifRangeAsksForTheSameVersion(values: [String], counts: Bool) {
        let conditions = FileConditions { $0 == "If-Range" ? values : [] }
        func rangeCounts(_ tag: EntityTag) -> Bool {
            conditions.rangeCounts(for: FileValidators(tag: tag, modified: Self.modified, now: Self.modified + 1_000))
        }
        #expect(rangeCounts(Self.tag) == counts)
        #expect(rangeCounts(Self.weak) == values.isEmpty, "no part can be joined with one of a file that changes now")
    }

    @Test func aTagIsStrongOnceTheFileHasSettled() {
        func tag(_ age: Int64, inode: UInt64 = 1, size: Int = 2, modified: Int64 = 1_000_000_000_000) -> EntityTag {
            EntityTag(inode: inode, size: size, modified: modified, now: modified + age)
        }
        #expect(tag(1_999_999_999).isWeak && !tag(2_000_000_000).isWeak)
        #expect(tag(-1).isWeak, "a time in the future")
        #expect(tag(0).text.hasPrefix("W/\"") && tag(.max / 2).text.hasPrefix("\""))
        #expect(tag(0).matchesWeakly(tag(.max / 2)))
        for modified in [Int64.min, -1, .max] {
            #expect(EntityTag(inode: .max, size: .max, modified: modified, now: .max).opaque.count > 2)
            #expect(EntityTag(inode: 0, size: 0, modified: modified, now: 0).opaque.count > 2)
        }
        let tags = [
            tag(9 << 30), tag(9 << 30, inode: 2), tag(9 << 30, size: 3), tag(9 << 30, modified: 1_000_000_000_001),
        ]
        #expect(Set(tags.map(\.text)).count == 4)
    }

    /// RFC 9110, section 5.6.7, and what is near to it.
    @Test(arguments: [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777), ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
        ("Sun Nov  6 08:49:37 1994", 784_111_777), ("Wed Nov 16 08:49:37 1994", 784_975_777),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0), ("Wed, 31 Dec 1969 23:59:59 GMT", -1),
        ("Tue, 29 Feb 2000 00:00:00 GMT", 951_782_400), ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
        ("Fri, 31 Dec 1999 23:59:60 GMT", 946_684_800), ("Saturday, 01-Jan-00 00:00:00 GMT", 946_684_800),
        ("Thursday, 01-Jan-70 00:00:00 GMT", 3_155_760_000), ("Friday, 01-Jan-99 00:00:00 GMT", 915_148_800),
        ("Sun, 29 Feb 1900 00:00:00 GMT", nil), ("Sun, 30 Feb 2000 00:00:00 GMT", nil),
        ("Sun, 00 Nov 1994 08:49:37 GMT", nil), ("Sun, 32 Dec 1994 08:49:37 GMT", nil),
        ("Sun, 6 Nov 1994 08:49:37 GMT", nil), ("Sun, 06 Nov 94 08:49:37 GMT", nil),
        ("Sun, 06 Nov 1994 24:00:00 GMT", nil), ("Sun, 06 Nov 1994 08:60:37 GMT", nil),
        ("Sun, 06 Nov 1994 08:49:61 GMT", nil), ("Sun, 06 Nov 1994 08:49:37 UTC", nil),
        ("Sun, 06 Nov 1994 08:49:37", nil), ("Sun, 06 nov 1994 08:49:37 GMT", nil),
        ("So, 06 Nov 1994 08:49:37 GMT", nil), ("Sun,  06 Nov 1994 08:49:37 GMT", nil), ("", nil), ("      ", nil),
        ("Sun Nov 6 08:49:37 1994", nil), ("Sun Nov  16 08:49:37 1994", nil), ("784111777", nil),
        ("Sun, +6 Nov 1994 08:49:37 GMT", nil), ("Sun, ٠٦ Nov 1994 08:49:37 GMT", nil),
        ("Sun, 06 Nov 99999999999999999999 08:49:37 GMT", nil), ("Sunday, 06-Nov 08:49:37 GMT", nil),
        (String(repeating: " ", count: 100_000), nil),
    ] as [(String, Int?)]) func datesAreReadInTheirThreeForms(text: String, second: Int?) {
        // 2026
        #expect(HTTPDate.parse(text, now: 1_796_000_000) == second)
    }

    @Test func whatIsFormattedIsReadAsTheSame() {
        for second in stride(from: 0, through: 253_402_300_799, by: 86_399 * 377) {
            #expect(HTTPDate.parse(HTTPDate.format(secondsSince1970: second), now: 0) == second)
        }
    }

    @Test func aFileIsAnsweredByItsOwnValidators() throws {
        let tree = try FilesTree()
        try tree.write("root/a.txt", "content")
        let files = try tree.files { $0.cacheControl = "max-age=60" }
        let first = try files.get("/a.txt")
        let (tag, date) = (first.fields["ETag"] ?? "", first.fields["Last-Modified"] ?? "")
        #expect(tag.hasPrefix("\"") && first.fields["Cache-Control"] == "max-age=60")
        #expect(first.fields["Content-Type"] == "text/plain; charset=utf-8")
        #expect(first.fields["Accept-Ranges"] == "bytes" && first.fields["X-Content-Type-Options"] == "nosniff")
        let again = try files.get("/a.txt", [("If-None-Match", tag)])
        #expect(again.status == .notModified && again.fields["ETag"] == tag && again.count == 0)
        #expect(again.fields["Cache-Control"] == "max-age=60" && again.fields["Content-Type"] == nil)
        #expect(try files.status("/a.txt", [("If-Modified-Since", date)]) == 304)
        #expect(try files.status("/a.txt", method: .head, [("If-Modified-Since", date)]) == 304)
        let failed = try files.get("/a.txt", [("If-Match", "\"x\"")])
        #expect(failed.status == .preconditionFailed && failed.fields["Cache-Control"] == nil)
        let beyond = try files.get("/a.txt", [("Range", "bytes=7-")])
        #expect(beyond.status == .rangeNotSatisfiable && beyond.fields["Cache-Control"] == nil)
        #expect(try files.status("/a.txt", [("If-Match", tag), ("Range", "bytes=0-0")]) == 206)
        #expect(try files.status("/a.txt", [("If-None-Match", tag), ("Range", "bytes=0-0")]) == 304)
        #expect(try files.status("/a.txt", [("If-Range", tag), ("Range", "bytes=0-0")]) == 206)
        #expect(try files.status("/a.txt", [("If-Range", date), ("Range", "bytes=0-0")]) == 206)
        // Changed in place, with the same length and the same second.
        try tree.write("root/a.txt", "CONTENT", age: 999)
        #expect(try files.status("/a.txt", [("If-None-Match", tag)]) == 200)
        #expect(try files.status("/a.txt", [("If-Range", tag), ("Range", "bytes=0-0")]) == 200)
        try tree.write("root/a.txt", "content", age: -1_000)
        let future = try files.get("/a.txt")
        #expect(future.fields["ETag"]?.hasPrefix("W/") == true)
        let said = HTTPDate.parse(future.fields["Last-Modified"] ?? "", now: 0) ?? .max
        #expect(said <= WallClock.second, "never later than the response")
    }

    @Test func aNewVersionOfAFileHasItsOwnFields() throws {
        let tree = try FilesTree()
        try tree.write("root/a.txt", "content")
        try tree.write("root/a.txt.gz", "packed!")
        let files = try tree.files { $0.precompressed = true }
        let first = try files.get("/a.txt")
        #expect(try files.get("/a.txt").fields == first.fields)
        #expect(try files.get("/a.txt", method: .head).fields == first.fields)
        // The same file by another name.
        try tree.link("root/b.css", to: "a.txt")
        let style = try files.get("/b.css")
        #expect(style.fields["Content-Type"] == "text/css; charset=utf-8" && style.fields["ETag"] == first.fields["ETag"])
        // A condition is looked at, although the fields are there.
        #expect(try files.status("/a.txt", [("If-None-Match", first.fields["ETag"] ?? "")]) == 304)
        #expect(try files.get("/a.txt", [("Accept-Encoding", "gzip")]).fields["Content-Encoding"] == "gzip")
        #expect(try files.get("/a.txt").fields == first.fields)
        // Of the same length, in place.
        try tree.write("root/a.txt", "CONTENT", age: 500)
        let second = try files.get("/a.txt")
        #expect(second.fields["ETag"] != first.fields["ETag"])
        #expect(second.fields["Last-Modified"] != first.fields["Last-Modified"])
        #expect(try second.sent() == Array("CONTENT".utf8))
    }

    @Test func theTagOfAFileThatHasJustChangedBecomesStrong() throws {
        let tree = try FilesTree()
        let files = try tree.files()
        try tree.write("root/a.txt", "content", age: 0)
        #expect(try files.get("/a.txt").fields["ETag"]?.hasPrefix("W/") == true)
        try tree.setAge(of: "root/a.txt", 3)
        #expect(try files.get("/a.txt").fields["ETag"]?.hasPrefix("\"") == true)
    }
}
