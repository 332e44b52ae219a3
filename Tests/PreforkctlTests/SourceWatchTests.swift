// Watching sources: when a build is due, which files count, and how an upgrade came out.

import Glibc
import PreforkSupervisor
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import preforkctl

@Suite struct ChangePlanTests {
    private let start = MonotonicInstant(nanoseconds: 1_000_000_000)

    private func at(_ milliseconds: Int) -> MonotonicInstant { start + .milliseconds(milliseconds) }

    @Test func nothingIsDueWithoutAChange() {
        var plan = ChangePlan()
        #expect(plan.step(at: start) == .wait(until: nil))
    }

    @Test func aBuildWaitsForRestButNotForEver() {
        var plan = ChangePlan(quiet: .milliseconds(200), longest: .seconds(1))
        plan.noteChange(at: at(0))
        #expect(plan.step(at: at(0)) == .wait(until: at(200)))
        plan.noteChange(at: at(150))
        #expect(plan.step(at: at(200)) == .wait(until: at(350)))
        for time in stride(from: 300, to: 1000, by: 150) { plan.noteChange(at: at(time)) }
        #expect(plan.step(at: at(950)) == .wait(until: at(1000)))
        #expect(plan.step(at: at(1000)) == .build)
    }

    @Test func oneBuildAtATimeAndOneUpgradeForEachGoodOne() {
        var plan = ChangePlan()
        plan.noteChange(at: at(0))
        #expect(plan.step(at: at(200)) == .build)
        #expect(plan.step(at: at(900)) == .wait(until: nil))
        #expect(plan.endBuild(succeeded: true) == .upgrade)
        #expect(plan.step(at: at(1000)) == .wait(until: nil))
        plan.noteChange(at: at(1100))
        #expect(plan.step(at: at(1300)) == .build)
        #expect(plan.endBuild(succeeded: false) == .keepOld)
    }

    @Test(arguments: [true, false])
    func whatChangesDuringABuildIsBuiltNext(_ succeeded: Bool) {
        var plan = ChangePlan()
        plan.noteChange(at: at(0))
        #expect(plan.step(at: at(200)) == .build)
        plan.noteChange(at: at(300))
        #expect(plan.endBuild(succeeded: succeeded) == .buildAgain)
        #expect(plan.step(at: at(400)) == .wait(until: at(500)))
        #expect(plan.step(at: at(500)) == .build)
    }
}

@Suite(.timeLimit(.minutes(2))) final class SourceTreeTests {
    private let root: String

    init() throws {
        root = try temporaryPath()
        for place in ["", "/a", "/a/b", "/.build"] { try #require(mkdir(root + place, 0o700) == 0) }
    }

    deinit {
        removeAll(root)
    }

    private func removeAll(_ path: String) {
        for entry in DirectoryListing.entries(path) where entry.isDirectory { removeAll("\(path)/\(entry.name)") }
        for entry in DirectoryListing.entries(path) { remove("\(path)/\(entry.name)") }
        remove(path)
    }

    private func write(_ place: String) throws {
        let file = try #require(fopen(root + place, "w"))
        fclose(file)
    }

    @Test func sourcesAtEveryDepthCountAndOthersDoNot() throws {
        let tree = try SourceTree([root])
        #expect(tree.directories == [root, root + "/a", root + "/a/b"])
        for place in ["/Package.swift", "/a/b/c.swift", "/a/notes.txt", "/a/.c.swift.swp.swift", "/.build/d.swift"] {
            try write(place)
        }
        #expect(try tree.changes() == [root + "/Package.swift", root + "/a/b/c.swift"])
        #expect(try tree.changes() == [])
    }

    @Test func aRenamedAndARemovedFileAreChanges() throws {
        try write("/a/x.swift.new")
        try write("/a/y.swift")
        let tree = try SourceTree([root])
        #expect(rename(root + "/a/x.swift.new", root + "/a/x.swift") == 0)
        #expect(try tree.changes() == [root + "/a/x.swift"])
        #expect(unlink(root + "/a/y.swift") == 0)
        #expect(try tree.changes() == [root + "/a/y.swift"])
    }

    @Test func aNewDirectoryIsWatchedWithWhatItHadBefore() throws {
        let tree = try SourceTree([root])
        for place in ["/new", "/new/deep"] { try #require(mkdir(root + place, 0o700) == 0) }
        try write("/new/deep/early.swift")
        #expect(try tree.changes() == [root + "/new/deep/early.swift"])
        try write("/new/deep/late.swift")
        #expect(try tree.changes() == [root + "/new/deep/late.swift"])
    }

    @Test func aDirectoryThatIsMovedAwayIsForgotten() throws {
        let tree = try SourceTree([root])
        let elsewhere = try temporaryPath()
        defer { removeAll(elsewhere) }
        #expect(rename(root + "/a", elsewhere) == 0)
        #expect(try tree.changes() == [root + "/a"])
        #expect(tree.directories == [root])
        let file = try #require(fopen(elsewhere + "/stranger.swift", "w"))
        fclose(file)
        #expect(try tree.changes() == [])
    }

    @Test func otherEndingsCanCount() throws {
        let tree = try SourceTree([root + "/a"], filter: SourceFilter(endings: [".html", "Makefile"]))
        for place in ["/a/x.html", "/a/Makefile", "/a/x.swift"] { try write(place) }
        #expect(try tree.changes() == [root + "/a/Makefile", root + "/a/x.html"])
    }

    /// A path that is too long stands for all that keeps the kernel from watching, such as its limit of watches.
    @Test func aNewDirectoryThatCannotBeWatchedIsToldAndNothingElseIsLost() throws {
        var path = root
        var places = [(descriptor: open(root, O_RDONLY | O_DIRECTORY), name: "")]
        defer {
            for (parent, child) in zip(places, places.dropFirst()).reversed() {
                for name in ["x.swift", String(repeating: "e", count: 255)] {
                    if unlinkat(child.descriptor, name, 0) != 0 { unlinkat(child.descriptor, name, AT_REMOVEDIR) }
                }
                unlinkat(parent.descriptor, child.name, AT_REMOVEDIR)
            }
            for place in places { close(place.descriptor) }
        }
        while path.utf8.count < 3_850 {
            let name = String(repeating: "d", count: 200)
            let parent = places[places.count - 1].descriptor
            try #require(mkdirat(parent, name, 0o700) == 0)
            places.append((openat(parent, name, O_RDONLY | O_DIRECTORY), name))
            path += "/" + name
        }
        let tree = try SourceTree([path])
        let last = places[places.count - 1].descriptor
        try #require(mkdirat(last, String(repeating: "e", count: 255), 0o700) == 0)
        close(openat(last, "x.swift", O_CREAT | O_WRONLY, 0o600))
        #expect { _ = try tree.changes() } throws: { ($0 as? SystemError)?.errno == .nameTooLong }
        // What is in it is not known, which is a reason to build.
        #expect(try tree.changes() == [path + "/" + String(repeating: "e", count: 255), path + "/x.swift"])
    }

    @Test func aRootThatIsNoneIsAnError() throws {
        try write("/file.swift")
        #expect(throws: SystemError("inotify_add_watch", Errno(rawValue: ENOTDIR), on: root + "/file.swift")) {
            _ = try SourceTree([root + "/file.swift"])
        }
    }
}

@Suite struct ControlUpgradeTests {
    private func status(_ generation: Int64, reload: String?, pid: Int64 = 1, phase: String = "running") -> JSONValue {
        let members: [JSONValue.Member] = [
            .init("supervisor", .integer(pid)), .init("phase", .string(ForeignText(phase))),
            .init("generation", .integer(generation)),
        ]
        let state: JSONValue? = reload.map {
            .object([.init("state", .string(ForeignText($0))), .init("reason", .null)])
        }
        return .object(members + (state.map { [.init("reload", $0)] } ?? []))
    }

    private func outcome(of status: JSONValue) throws -> ForeignText? {
        try ControlClient.outcome(status, before: self.status(4, reload: nil))
    }

    @Test func theNextGenerationIsTheNewProgram() throws {
        #expect(try outcome(of: status(5, reload: "running")) == nil)
        #expect(try outcome(of: status(5, reload: "done", phase: "starting")) == nil)
        #expect(try outcome(of: status(5, reload: "probation")) == nil)
        #expect(try outcome(of: status(5, reload: "done")) == "upgraded, generation 5")
        #expect(try outcome(of: status(5, reload: "probation")) == nil)
    }

    @Test func aSupervisorThatSaysNothingIsNotWaitedForForEver() throws {
        let path = try temporaryPath()
        let listener = try Listener(.unix(path))
        #expect(throws: ControlClientError.noAnswerInTime) {
            try ControlClient.upgrade(path, to: nil, within: .milliseconds(20))
        }
        listener.close()
    }

    @Test func anythingElseIsTheOldOne() throws {
        for failed in [
            status(5, reload: "aborted"), status(6, reload: "done"), status(4, reload: nil), status(5, reload: nil),
        ] {
            let refused = ControlClientError.refused(
                "upgrade rolled back: the new program failed (see the log)")
            #expect(throws: refused) { try outcome(of: failed) }
        }
        #expect(throws: ControlClientError.self) { try outcome(of: status(5, reload: "done", pid: 2)) }
    }
}

@Suite struct ArgumentScannerTests {
    @Test func optionsMayStandAnywhereAndComeSeveralTimes() throws {
        var words = ArgumentScanner(["watch", "--path=a", "--build", "make all", "--path", "b"])
        #expect(try words.next("a command") == "watch")
        let watch = try SourceWatch(&words)
        #expect(watch.roots == ["a", "b"] && watch.build == "make all" && watch.filter == SourceFilter())
        try words.finish()
        #expect(throws: ToolUsageError("--path needs a value")) {
            var words = ArgumentScanner(["--path"])
            _ = try words.value("--path")
        }
        #expect(throws: ToolUsageError("'x' is not understood here")) { try ArgumentScanner(["x"]).finish() }
    }
}
