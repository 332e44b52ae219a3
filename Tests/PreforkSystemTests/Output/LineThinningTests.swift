// One line a second for each cause.

import Testing

@testable import PreforkSystem

@Suite struct LineThinningTests {
    private let start = MonotonicInstant(nanoseconds: 1_000_000_000_000)
    private typealias Thinning = LineThinning<String>

    @Test func `One line of a cause is written in a second, and the next tells of the rest`() {
        var thinning = Thinning()
        #expect(thinning.judge("a", at: start) == .write(leftOut: 0))
        #expect(thinning.nextDeadline == nil)
        for millisecond in 1..<1000 {
            #expect(thinning.judge("a", at: start + .milliseconds(millisecond)) == .leaveOut)
        }
        #expect(thinning.judge("b", at: start + .milliseconds(5)) == .write(leftOut: 0))
        // It looks when the first of them would be due, and then when the last is.
        #expect(thinning.nextDeadline == start + .milliseconds(1_001))
        let early = thinning.takeSettled(at: start + .milliseconds(1_001))
        #expect(early.isEmpty)
        #expect(thinning.nextDeadline == start + .milliseconds(1_999))
        #expect(thinning.judge("a", at: start + .seconds(1)) == .write(leftOut: 999))
        #expect(thinning.judge("a", at: start + .seconds(3)) == .write(leftOut: 0))
    }

    @Test func `What was left out is told when the cause is silent`() {
        var thinning = Thinning()
        for _ in 0..<10 { _ = thinning.judge("a", at: start) }
        let early = thinning.takeSettled(at: start + .milliseconds(999))
        #expect(early.isEmpty)
        let settled = thinning.takeSettled(at: start + .seconds(1))
        #expect(settled == [.init(cause: "a", leftOut: 9)])
        #expect(thinning.nextDeadline == nil)
        let late = thinning.takeSettled(at: start + .seconds(2))
        #expect(late.isEmpty)
    }

    /// Or a cause that never rests would be a number each second, and never a line.
    @Test func `A cause that goes on is told of by its own lines`() {
        var thinning = Thinning()
        var written: [Int] = []
        for millisecond in 0...10_000 {
            let now = start + .milliseconds(millisecond)
            let settled = thinning.takeSettled(at: now)
            #expect(settled.isEmpty)
            if case .write(let leftOut) = thinning.judge("a", at: now) { written.append(leftOut) }
        }
        #expect(written == [0] + Array(repeating: 999, count: 10))
    }

    @Test func `At the end everything is told, the cause that came first before the others`() {
        var thinning = Thinning()
        for (index, name) in ["b", "a", "c"].enumerated() {
            for _ in 0...index + 1 { _ = thinning.judge(name, at: start + .milliseconds(index)) }
        }
        let told = thinning.takeAll()
        #expect(told == [.init(cause: "b", leftOut: 1), .init(cause: "a", leftOut: 2), .init(cause: "c", leftOut: 3)])
        let again = thinning.takeAll()
        #expect(again.isEmpty)
    }

    @Test func `A burst is written and earned again one by one`() {
        var thinning = Thinning()
        func judge(_ seconds: Int) -> LineThinning<String>.Verdict {
            thinning.judge("a", burst: 3, at: start + .seconds(seconds))
        }
        let now = (0..<5).map { _ in judge(0) }
        #expect(now == [.write(leftOut: 0), .write(leftOut: 0), .write(leftOut: 0), .leaveOut, .leaveOut])
        let later = [1, 1, 60, 60, 60, 60].map(judge)
        #expect(
            later == [
                .write(leftOut: 2), .leaveOut, .write(leftOut: 1), .write(leftOut: 0), .write(leftOut: 0), .leaveOut,
            ])
    }

    /// Ten thousand events of one cause in a second, and none of them is lost from the count.
    @Test(arguments: [1, 8]) func `Ten thousand events in a second are a few lines`(burst: Int) {
        var thinning = Thinning()
        var (lines, leftOut) = (0, 0)
        for index in 0..<10_000 {
            let now = start + .microseconds(index * 100)
            if case .write(let before) = thinning.judge("a", burst: burst, at: now) {
                lines += 1
                leftOut += before
            }
        }
        #expect(lines == burst)
        leftOut += thinning.takeAll().reduce(0) { $0 + $1.leftOut }
        #expect(lines + leftOut == 10_000)
    }

    /// Each of a hundred thousand names would have its first line, if there were room for it.
    @Test func `A million causes have no more room, and no more lines, than a few hundred`() {
        var thinning = Thinning(mostCauses: 100)
        var lines = 0
        for number in 0..<100_000 {
            let verdict = thinning.judge("cause \(number)", burst: 8, at: start + .microseconds(number))
            if verdict != .leaveOut { lines += 1 }
        }
        #expect(thinning.causeCount == 100)
        #expect(lines == 101)
        let told = thinning.takeAll()
        #expect(told == [.init(cause: nil, leftOut: 100_000 - 101)])
        // The next second has room for others again.
        #expect(thinning.judge("new", at: start + .seconds(2)) == .write(leftOut: 0))
        #expect(thinning.causeCount == 1)
    }

    @Test func `A clock that stands or jumps harms nothing`() {
        var thinning = Thinning()
        for instant in [start, MonotonicInstant(nanoseconds: 0), MonotonicInstant(nanoseconds: .max), start] {
            _ = thinning.judge("a", at: instant)
        }
        let settled = thinning.takeSettled(at: start)
        #expect(settled.count <= 1)
    }
}
