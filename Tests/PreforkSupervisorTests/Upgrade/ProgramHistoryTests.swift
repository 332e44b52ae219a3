// Which programs a process has run, and what a new one changes.

import Testing

@testable import PreforkSupervisor
@testable import PreforkSystem

@Suite struct ProgramHistoryTests {
    private let first = ProgramFile(path: "/srv/current/app", file: "/srv/1/app", buildID: "ab", time: 1, stamp: "1")
    private let second = ProgramFile(path: "/srv/current/app", file: "/srv/2/app", buildID: "cd", time: 2, stamp: "2")

    private func history(_ left: ProgramHandover? = nil) throws -> ProgramHistory {
        var history = try ProgramHistory(left)
        history.running = second
        return history
    }

    @Test func anotherProgramForOnceDoesNotChangeWhatTheNextUpgradeStarts() throws {
        let before = try history()
        let once = before.handover(to: "/opt/other", keeps: false, changes: ["x"])
        #expect(once.path == before.path && once.executed == "/opt/other" && once.previous == second)
        #expect(before.handover(to: "/opt/other", keeps: true, changes: []).path == "/opt/other")
        let after = try ProgramHistory(once)
        #expect(after.path == before.path && after.directory == before.directory)
        #expect(after.running.path == "/opt/other" && after.previous == second && after.changes == ["x"])
    }

    @Test func theRollbackLeavesWhatTheProgramBeforeKnew() throws {
        var before = try history()
        before.path = "/srv/current/app"
        before.previous = first
        let left = before.handover(to: "/opt/other", keeps: true, changes: [])
        let undo = try #require(ProgramHandover(text: left.undo ?? ""))
        #expect(undo.path == before.path && undo.executed == second.path && undo.previous == first && undo.undo == nil)
        #expect(undo.workingDirectory?.hasPrefix("/") == true)
    }

    @Test func theTextIsRead() throws {
        var handover = try history().handover(to: "/a \"b\"", keeps: false, changes: ["one", "two"])
        #expect(ProgramHandover(text: handover.text) == handover)
        handover.previous = nil
        handover.undo = nil
        #expect(ProgramHandover(text: handover.text) == handover)
        for text in ["", "{}", #"{"path":"a","directory":"","executed":"b"}"#, #"{"path":"/a"}"#] {
            #expect(ProgramHandover(text: text) == nil)
        }
    }

    @Test func theSameBuildElsewhereIsTheSameProgram() {
        var copy = first
        (copy.file, copy.stamp) = ("/elsewhere", "9")
        #expect(copy.isSameProgram(as: first) && !copy.isSameProgram(as: second))
        copy.buildID = ""
        #expect(!copy.isSameProgram(as: first), "without a build ID the file itself counts")
        copy.stamp = first.stamp
        #expect(copy.isSameProgram(as: first))
    }

    @Test func aProgramBeforeThatIsGoneOrAnotherOneIsNotGoneBackTo() throws {
        #expect(ProgramHistory.refusal(of: first)?.hasPrefix("the previous program is gone") == true)
        var shell = try ProgramFile(at: "/bin/sh")
        #expect(ProgramHistory.refusal(of: shell) == nil)
        (shell.buildID, shell.stamp) = ("ab", "1")
        let refusal = ProgramHistory.refusal(of: shell)
        #expect(refusal?.contains("has changed: it was /bin/sh") == true)
    }

    @Test func whatChangesIsNamed() {
        let old = ProgramWord(
            workers: 2, listeners: [.init(name: "a", value: "backlog 1"), .init(name: "b", value: "backlog 2")],
            settings: [.init(name: "PREFORK_USER", value: "off")])
        let new = ProgramWord(
            workers: 4, listeners: [.init(name: "a", value: "backlog 9"), .init(name: "c", value: "backlog 3")],
            settings: [.init(name: "PREFORK_USER", value: "www")])
        #expect(ProgramWord(text: new.text) == new)
        #expect(
            old.changes(to: new, scaledTo: nil) == [
                "4 workers instead of 2", "listener a: backlog 9 instead of backlog 1", "listener c: new, backlog 3",
                "listener b: given up", "PREFORK_USER: www instead of off",
            ])
        let scaled = old.changes(to: new, scaledTo: 3).first
        #expect(scaled == "3 workers stay, as an operator has scaled the pool (the program says 4)")
        #expect(old.changes(to: old, scaledTo: 3).isEmpty)
        #expect(ProgramWord(text: "{}") == nil)
    }
}
