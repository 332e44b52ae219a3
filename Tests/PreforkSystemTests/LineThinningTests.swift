// One line a second for each cause.

import PreforkSystem
import Testing

@Suite struct LineThinningTests {
    private let start = MonotonicInstant(nanoseconds: 1_000_000_000_000)

    @Test func `One line of a cause is written in a second, and the next tells of the rest`() {
        var thinning = LineThinning()
        #expect(thinning.judge("a", at: start) == .write(leftOut: 0))
        #expect(thinning.nextDeadline == nil)
        for millisecond in 1..<1000 {
            #expect(thinning.judge("a", at: start + .milliseconds(millisecond)) == .leaveOut)
        }
        #expect(thinning.judge("b", at: start + .milliseconds(5)) == .write(leftOut: 0))
        #expect(thinning.nextDeadline == start + .seconds(1))
        #expect(thinning.judge("a", at: start + .seconds(1)) == .write(leftOut: 999))
        #expect(thinning.judge("a", at: start + .seconds(3)) == .write(leftOut: 0))
    }

    @Test func `What was left out is told when the cause is silent`() {
        var thinning = LineThinning()
        for _ in 0..<10 { _ = thinning.judge("a", at: start) }
        #expect(thinning.takeSettled(at: start + .milliseconds(999)).isEmpty)
        let settled = thinning.takeSettled(at: start + .seconds(1))
        #expect(settled.map(\.cause) == ["a"] && settled.map(\.leftOut) == [9])
        #expect(thinning.nextDeadline == nil)
        #expect(thinning.takeSettled(at: start + .seconds(2)).isEmpty)
    }

    @Test func `A burst is written and earned again one by one`() {
        var thinning = LineThinning(burst: 3)
        let now = (0..<5).map { _ in thinning.judge("a", at: start) }
        #expect(now == [.write(leftOut: 0), .write(leftOut: 0), .write(leftOut: 0), .leaveOut, .leaveOut])
        #expect(thinning.judge("a", at: start + .seconds(1)) == .write(leftOut: 2))
        #expect(thinning.judge("a", at: start + .seconds(1)) == .leaveOut)
        #expect(thinning.judge("a", at: start + .seconds(60)) == .write(leftOut: 1))
        #expect(thinning.judge("a", at: start + .seconds(60)) == .write(leftOut: 0))
    }

    @Test func `A million causes take no more room than a few hundred`() {
        var thinning = LineThinning()
        for number in 0..<100_000 { _ = thinning.judge("cause \(number)", at: start + .microseconds(number)) }
        #expect(thinning.causeCount <= 256)
    }

    @Test func `A clock that stands or jumps harms nothing`() {
        var thinning = LineThinning()
        for instant in [start, MonotonicInstant(nanoseconds: 0), MonotonicInstant(nanoseconds: .max), start] {
            _ = thinning.judge("a", at: instant)
        }
        #expect(thinning.takeSettled(at: start).count <= 1)
    }
}
