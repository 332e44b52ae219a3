// Whose death counts as one for want of memory.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkSupervisor

@Suite struct OutOfMemoryVerdictTests {
    private let start = MonotonicInstant(nanoseconds: 0)

    private func after(_ milliseconds: Int) -> MonotonicInstant { start + .milliseconds(milliseconds) }

    @Test func `Of two kills in one turn each takes its step, and a third death none`() {
        var verdicts = OutOfMemoryVerdicts(counter: 7)
        let claims = (0..<3).map { _ in verdicts.claim(9, at: start) }
        #expect(claims == [true, true, false])
    }

    @Test func `A step that no death takes lapses`() {
        var verdicts = OutOfMemoryVerdicts(counter: 0)
        verdicts.note(1, at: after(0))
        let claims = [verdicts.claim(1, at: after(2_000)), verdicts.claim(2, at: after(2_500))]
        #expect(claims == [false, true], "the first victim was no child of the supervisor")
    }

    @Test func `A victim that takes its time to die has its step`() {
        var verdicts = OutOfMemoryVerdicts(counter: 0)
        verdicts.note(1, at: after(0))
        verdicts.note(1, at: after(1_000))
        let claims = (0..<2).map { _ in verdicts.claim(1, at: after(1_999)) }
        #expect(claims == [true, false])
    }

    @Test func `Steps lapse one by one`() {
        var verdicts = OutOfMemoryVerdicts(counter: 0)
        verdicts.note(3, at: after(0))
        verdicts.note(4, at: after(1_500))
        let claims = (0..<2).map { _ in verdicts.claim(4, at: after(2_500)) }
        #expect(claims == [true, false])
    }

    @Test func `A counter that is not there, comes, or goes back, accuses nobody`() {
        var verdicts = OutOfMemoryVerdicts(counter: nil)
        // A count from before the first check belongs to no child here.
        let claims = [nil, 5, 6, 0, 1, nil].map { verdicts.claim($0, at: start) }
        #expect(claims == [false, false, true, false, true, false])
    }
}

/// The kernel's file by a file of the test's own, which inotify(7) watches in the same way.
@Suite(.timeLimit(.minutes(1))) struct OutOfMemoryJudgeTests {
    private func write(_ count: Int, to path: String) throws {
        let file = try #require(fopen(path, "r+"))
        fputs("low 0\noom \(count)\noom_kill \(count)\n", file)
        fclose(file)
    }

    private func isReadable(_ number: Int32) throws -> Bool {
        try Polling.waitUntilReadable([number], until: .now)
    }

    @Test func `The judge is told of steps, and forgets those of others`() throws {
        let path = try temporaryFile()
        defer { unlink(path) }
        try write(3, to: path)
        let judge = OutOfMemoryJudge(OutOfMemoryKills(events: path))
        let number = try #require(judge.descriptor)
        #expect(try !isReadable(number) && judge.nextLook == nil)
        try write(4, to: path)
        #expect(try isReadable(number))
        let start = MonotonicInstant.now
        judge.noteNews(at: start)
        #expect(try !isReadable(number))
        let look = try #require(judge.nextLook)
        judge.look(at: look)
        #expect(judge.nextLook == nil)
        #expect(!judge.claim(at: look + OutOfMemoryVerdicts.lapse))
        try write(6, to: path)
        #expect((0..<3).map { _ in judge.claim(at: look + .seconds(10)) } == [true, true, false])
    }

    @Test func `Without the kernel's file there is no verdict and nothing to wait for`() {
        let judge = OutOfMemoryJudge(OutOfMemoryKills(events: "/nonexistent"))
        #expect(judge.descriptor == nil && judge.nextLook == nil && !judge.claim(at: .now))
    }
}
