// Notices of what happens in directories.

import Glibc
import PreforkTestSupport
import Testing

@testable import PreforkSystem

@Suite(.timeLimit(.minutes(2))) struct FileNoticesTests {
    @Test func eachThingThatHappensIsTold() throws {
        let path = try temporaryPath()
        try #require(mkdir(path, 0o700) == 0)
        let notices = try FileNotices()
        let number = try notices.watch(path)
        #expect(try notices.watch(path) == number)
        #expect(try notices.read().isEmpty)
        func notice(_ kind: FileNotice.Kind, _ name: String = "", isDirectory: Bool = false) -> FileNotice {
            FileNotice(kind: kind, directory: number, name: name, isDirectory: isDirectory)
        }
        let file = try #require(fopen(path + "/file", "w"))
        fclose(file)
        #expect(try notices.read() == [notice(.changed, "file"), notice(.changed, "file")], "made, and closed")
        #expect(rename(path + "/file", path + "/other") == 0)
        #expect(try notices.read() == [notice(.removed, "file"), notice(.changed, "other")])
        #expect(mkdir(path + "/directory", 0o700) == 0)
        #expect(rmdir(path + "/directory") == 0)
        #expect(
            try notices.read() == [
                notice(.changed, "directory", isDirectory: true), notice(.removed, "directory", isDirectory: true),
            ])
        #expect(unlink(path + "/other") == 0)
        #expect(rmdir(path) == 0)
        #expect(try notices.read() == [notice(.removed, "other"), notice(.ended)])
    }

    @Test func anEndedWatchTellsNothingMore() throws {
        let path = try temporaryPath()
        try #require(mkdir(path, 0o700) == 0)
        defer { rmdir(path) }
        let notices = try FileNotices()
        let number = try notices.watch(path)
        notices.stopWatching(number)
        try #require(mkdir(path + "/directory", 0o700) == 0)
        #expect(rmdir(path + "/directory") == 0)
        #expect(try notices.read() == [FileNotice(kind: .ended, directory: number)])
    }

    @Test func whatIsNoDirectoryIsAnError() throws {
        let notices = try FileNotices()
        #expect(throws: SystemError("inotify_add_watch", .noEntry, on: "/nowhere")) {
            _ = try notices.watch("/nowhere")
        }
    }

    @Test func entriesTellDirectoriesFromFilesAndLinks() throws {
        let path = try temporaryPath()
        try #require(mkdir(path, 0o700) == 0)
        try #require(mkdir(path + "/directory", 0o700) == 0)
        try #require(symlink("directory", path + "/link") == 0)
        defer { for name in ["/link", "/directory", ""] { remove(path + name) } }
        let entries = DirectoryListing.entries(path).sorted { $0.name < $1.name }
        #expect(entries.map(\.name) == ["directory", "link"])
        #expect(entries.map(\.isDirectory) == [true, false])
    }
}
