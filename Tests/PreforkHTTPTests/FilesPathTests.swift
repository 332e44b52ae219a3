// No name leads out of the root, and only what may be seen is served.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkHTTP

@Suite struct FilesPathTests {
    /// root/{a.txt, sub/index.html, sub/b.txt, .env, .git/config, .well-known/x, pipe, and links}; beside it secret.txt
    private func tree() throws -> FilesTree {
        let tree = try FilesTree()
        try tree.write("secret.txt", "secret")
        try tree.makeDirectory("rootbeside")
        try tree.write("rootbeside/secret.txt", "secret")
        try tree.write("root/a.txt", "a")
        try tree.write("root/100%.txt", "percent")
        try tree.write("root/grüße ?#.txt", "greetings")
        try tree.write("root/dots..", "dots")
        try tree.write("root/...", "three")
        try tree.makeDirectory("root/sub")
        try tree.write("root/sub/index.html", "index")
        try tree.write("root/sub/b.txt", "b")
        try tree.makeDirectory("root/empty")
        try tree.write("root/.env", "hidden")
        try tree.makeDirectory("root/.git")
        try tree.write("root/.git/config", "hidden")
        try tree.makeDirectory("root/.well-known")
        try tree.write("root/.well-known/x", "known")
        try tree.link("root/out", to: "../secret.txt")
        try tree.link("root/absolute", to: tree.path + "/secret.txt")
        try tree.link("root/etc", to: "/etc")
        try tree.link("root/outdir", to: "..")
        try tree.link("root/proc", to: "/proc/self/root")
        try tree.link("root/loop", to: "loop")
        try tree.link("root/inside", to: "sub/b.txt")
        try tree.link("root/sub/up", to: "../a.txt")
        try tree.link("root/insidedir", to: "sub")
        try tree.link("root/nowhere", to: "missing")
        #expect(mkfifo(tree.path + "/root/pipe", 0o644) == 0)
        return tree
    }

    private static let outside = [
        "/../secret.txt", "/sub/../../secret.txt", "/..", "/../", "/%2e%2e/secret.txt", "/%2E%2e/secret.txt",
        "/..%2fsecret.txt", "/..%2Fsecret.txt", "/%2e%2e%2fsecret.txt", "/sub/..%2f..%2fsecret.txt",
        "/.%2e/secret.txt", "/%2e./secret.txt", "/./a.txt", "/sub/./b.txt", "/sub/../a.txt", "//a.txt", "/sub//b.txt",
        "//", "///", "/%2fetc/passwd", "//etc/passwd", "/%2f", "/sub%2fb.txt", "/..;/secret.txt", "/..\\secret.txt",
        "/..%5csecret.txt", "/%252e%252e/secret.txt", "/%c0%ae%c0%ae/secret.txt", "/%c0%ae%c0%ae%c0%afsecret.txt",
        "/\u{FF0E}\u{FF0E}/secret.txt", "/..%c0%afsecret.txt", "/a.txt/", "/a.txt/.", "/a.txt/..", "/a.txt.", "/a.txt..",
        "/a.txt%20", "/A.TXT", "/../rootbeside/secret.txt", "/.../../secret.txt", "/etc/passwd", "/etc/", "/out",
        "/absolute", "/outdir/secret.txt", "/outdir", "/outdir/", "/outdir/root/a.txt", "/proc/etc/passwd", "/loop",
        "/nowhere", "/pipe", "/pipe/", "/empty/", "/missing", "/missing/", "/sub/missing/x", "/~root", "/*", "*",
        "/" + String(repeating: "x", count: 256), "/" + String(repeating: "x/", count: 2_047),
        "/" + String(repeating: "x", count: 5_000), "/" + String(repeating: "../", count: 1_000) + "etc/passwd",
    ]

    @Test(arguments: outside, [false, true]) func nothingOutsideIsServed(path: String, goesByParts: Bool) throws {
        let tree = try tree()
        let response = try tree.files(goesByParts: goesByParts).get(path)
        #expect(response.status == .notFound)
        #expect(try response.sent().map { String(decoding: $0, as: UTF8.self) } == "404 Not Found\n")
    }

    @Test(arguments: ["/%", "/%2", "/%zz", "/a%2gb", "/a.txt%00", "/%00", "/a%00.txt", "/../%", "/%%32%65"])
    func malformedPathsAre400(path: String) throws {
        let tree = try tree()
        #expect(try tree.files().status(path) == 400)
    }

    @Test(arguments: [
        ("/a.txt", "a"), ("a.txt", "a"), ("/%61.txt", "a"), ("/a%2Etxt", "a"), ("/100%25.txt", "percent"),
        ("/gr%C3%BC%C3%9Fe%20%3F%23.txt", "greetings"), ("/sub/", "index"), ("/sub/index.html", "index"),
        ("/sub/b.txt", "b"), ("/dots..", "dots"),
    ]) func filesInsideAreServed(path: String, content: String) throws {
        let tree = try tree()
        for goesByParts in [false, true] {
            let response = try tree.files(goesByParts: goesByParts).get(path)
            #expect(response.status == .ok)
            #expect(try response.sent() == Array(content.utf8))
        }
    }

    @Test func symbolicLinksAreFollowedInsideTheRootIfWanted() throws {
        let tree = try tree()
        for (path, status) in [("/inside", 200), ("/sub/up", 200), ("/insidedir/b.txt", 200), ("/insidedir/", 200)] {
            #expect(try tree.files().status(path) == status)
            #expect(try tree.files { $0.followsSymbolicLinks = false }.status(path) == 404)
            #expect(try tree.files(goesByParts: true).status(path) == 404, "where there is no openat2(2)")
        }
        #expect(try tree.files().status("/insidedir") == 301)
    }

    @Test func hiddenFilesAreServedIfWanted() throws {
        let tree = try tree()
        for path in ["/.env", "/.git/config", "/.git/", "/.well-known/x", "/%2eenv", "/.%67it/config", "/..."] {
            #expect(try tree.files().status(path) == 404, "\(path)")
        }
        let known = try tree.files { $0.hiddenFiles = .wellKnown }
        #expect(try known.status("/.well-known/x") == 200)
        #expect(try known.status("/.env") == 404)
        #expect(try known.status("/sub/.well-known/x") == 404)
        #expect(try tree.files { $0.hiddenFiles = .served }.status("/.git/config") == 200)
        #expect(try tree.files { $0.hiddenFiles = .served }.status("/...") == 200)
        #expect(try tree.files { $0.hiddenFiles = .served }.status("/../secret.txt") == 404)
    }

    @Test func directoriesLeadToTheirAddressWithASlash() throws {
        let tree = try tree()
        let files = try tree.files()
        #expect(try files.get("/sub").fields["Location"] == "./sub/")
        #expect(try files.get("/sub", query: "a=//b").fields["Location"] == "./sub/?a=//b")
        #expect(try files.get("/%73ub").fields["Location"] == "./sub/")
        #expect(try files.get("//sub").status == .notFound, "its address would name another host")
        #expect(try files.get("/sub", query: "a\r\nX: y").fields["Location"] == nil)
        #expect(try files.get("/empty").fields["Location"] == "./empty/")
        #expect(try files.get("/").status == .notFound)
        #expect(try tree.files { $0.index = nil }.status("/sub/") == 404)
        #expect(try tree.files { $0.index = "" }.status("/sub/") == 404)
        #expect(try tree.files { $0.index = "b.txt" }.status("/sub/") == 200)
        #expect(try tree.files { $0.index = "../../secret.txt" }.status("/sub/") == 404)
        #expect(try tree.files { $0.index = "up" }.status("/sub/") == 200)
    }

    @Test func onlyGETAndHEADAreAnswered() throws {
        let tree = try tree()
        let files = try tree.files()
        for method: HTTPMethod in [.post, .put, .delete, .options, .patch, HTTPMethod("PROPFIND")] {
            let response = try files.get("/a.txt", method: method)
            #expect(response.status == .methodNotAllowed && response.fields["Allow"] == "GET, HEAD")
        }
        #expect(try files.get("/a.txt", method: .head).status == .ok)
        #expect(try files.get("/a.txt", method: .head).count == 1)
    }

    @Test func aFileThatMayNotBeReadIs403() throws {
        // Root may read everything.
        guard geteuid() != 0 else { return }
        let tree = try tree()
        #expect(chmod(tree.root + "/a.txt", 0) == 0)
        #expect(try tree.files().status("/a.txt") == 403)
    }

    @Test func aRootThatCannotBeOpenedIsAnErrorThatNamesIt() throws {
        for (path, errno) in [("/nowhere", "ENOENT"), ("/etc/passwd", "ENOTDIR"), ("", "EINVAL"), ("/tmp\0", "EINVAL")] {
            let error = #expect(throws: SystemError.self) { try HTTPFiles(root: path) }
            #expect(error?.errno.name == errno && error?.object == path)
        }
    }

    /// 20,000 paths of pieces that path checks fall over: each is refused or is a file below the root.
    @Test func generatedPathsNeverShowTheSecret() throws {
        let tree = try tree()
        let pieces = [
            "/", "//", ".", "..", "%2e", "%2E%2e", "%2f", "%5c", "\\", "a.txt", "sub", "b.txt", "secret.txt", "out",
            "outdir", "proc", "etc", "passwd", "root", "rootbeside", "%00", "%", "%25", "%252e", ";", "~", " ", "\u{FF0E}",
            "insidedir", "%c0%af", "loop", "absolute",
        ]
        for goesByParts in [false, true] {
            let files = try tree.files({ $0.hiddenFiles = .served }, goesByParts: goesByParts)
            var random = SplitMix64(seed: 42)
            var wrong: [String] = []
            for _ in 0..<10_000 {
                let path = "/" + (0..<(1 + random.below(8))).map { _ in pieces[random.below(pieces.count)] }.joined()
                let response = try files.get(path)
                let body = try response.sent().map { String(decoding: $0, as: UTF8.self) } ?? "?"
                if body == "secret" || body.contains("root:") || ![200, 301, 400, 404].contains(response.status.code) {
                    wrong.append(path)
                }
            }
            #expect(wrong.isEmpty)
        }
    }
}
