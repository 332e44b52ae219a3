// Files where the kernel or the file system refuses sendfile(2) or openat2(2).

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct FilesFallbackTests {
    /// EINVAL is what file systems without mapped pages say (sendfile(2)).
    @Test(arguments: ["EINVAL", "EOPNOTSUPP", "ENOSYS", "EPERM"])
    func aFileIsReadAndSentWhereSendfileIsRefused(error: String) async throws {
        let tree = try FilesTree()
        let content = (0..<3_000_001).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        try tree.write("root/a.bin", content)
        let program = try ChildProgram(
            "refuse-fixture", [error, "sendfile", ChildProgram.path(of: "http-fixture"), "1", "files=\(tree.root)"])
        let port = try #require(UInt16(try await program.waitForLine("port ")))
        for (range, expected) in [("bytes=0-", content[...]), ("bytes=100000-2999999", content[100_000..<3_000_000])] {
            let client = try Client(port: port)
            try client.send(request("GET /files/a.bin", "Range: \(range)"))
            // Slower than the server: the socket takes a part of what was read, again and again.
            var all: [UInt8] = []
            while case let more = try client.receive(), !more.isEmpty { all += more }
            #expect(all.starts(with: Array("HTTP/1.1 206 ".utf8)))
            #expect(all.suffix(expected.count).elementsEqual(expected) && all.count < expected.count + 1_000)
        }
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
        #expect(!program.errors.contains("error"), "\(program.errors)")
    }

    /// A kernel before 5.6 says ENOSYS, an old filter of system calls EPERM.
    @Test(arguments: ["ENOSYS", "EPERM"])
    func aFileIsFoundNameByNameWhereOpenat2IsRefused(error: String) async throws {
        let tree = try FilesTree()
        try tree.makeDirectory("root/sub")
        try tree.write("root/sub/a.txt", "found")
        try tree.link("root/sub/link.txt", to: "a.txt")
        let program = try ChildProgram(
            "refuse-fixture", [error, "openat2", ChildProgram.path(of: "http-fixture"), "1", "files=\(tree.root)"])
        let port = try #require(UInt16(try await program.waitForLine("port ")))
        for (path, status) in [("sub/a.txt", 200), ("sub/link.txt", 404), ("sub/b.txt", 404)] {
            let client = try Client(port: port)
            try client.send(request("GET /files/\(path)", "Connection: close"))
            var all: [UInt8] = []
            while case let more = try client.receive(), !more.isEmpty { all += more }
            #expect(all.starts(with: Array("HTTP/1.1 \(status) ".utf8)), "\(path)")
        }
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
    }

    /// Not with sendfile(2), which is what it falls back from, and not with what comes after the file became shorter.
    @Test func aFileThatBecameShorterEndsWithoutAByteMore() throws {
        let tree = try FilesTree()
        try tree.write("root/a.bin", [UInt8](repeating: 7, count: 200_000))
        let file = try RootDirectory(tree.root, links: .none).open([Array("a.bin".utf8)])
        #expect(truncate(tree.root + "/a.bin", 10) == 0)
        var pair: [Int32] = [0, 0]
        #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) == 0)
        defer { pair.forEach { close($0) } }
        #expect(try file.sendCopy(0..<200_000, to: pair[0]) == 10)
        #expect(try file.sendCopy(10..<200_000, to: pair[0]) == 0)
    }
}
