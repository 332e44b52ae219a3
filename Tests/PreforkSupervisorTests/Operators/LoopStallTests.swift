// When a loop counts as standing still, and how often the supervisor looks.

import PreforkSystem
import Testing

@testable import PreforkSupervisor

@Suite struct LoopStallTests {
    private let start = MonotonicInstant(nanoseconds: 1_000_000_000_000)

    private func turn(_ instant: MonotonicInstant, isOver: Bool = false) -> UInt64 {
        UInt64(instant.nanoseconds) << 1 | (isOver ? 0 : 1)
    }

    private func reading(_ word: UInt64, spawn: UInt64 = 1, extended: MonotonicInstant? = nil) -> LoopStalls.Reading {
        LoopStalls.Reading(spawn: spawn, word: word, extendedUntil: extended)
    }

    private func watch() -> LoopStalls {
        var stalls = LoopStalls(limit: .milliseconds(100))
        stalls.wake(at: start)
        // The worker is known from here on.
        _ = stalls.look([reading(turn(start, isOver: true))], at: start)
        return stalls
    }

    @Test func aTurnThatLastsIsToldOnceAtItsTimeAndItsEndToo() {
        var stalls = watch()
        let begin = start + .milliseconds(30)
        #expect(stalls.look([reading(turn(begin))], at: start + .milliseconds(100)).isEmpty)
        #expect(stalls.nextLook == begin + .milliseconds(100), "exactly when it becomes too long")
        let late = begin + .milliseconds(100)
        #expect(stalls.look([reading(turn(begin))], at: late) == [.stalled(1, for: .milliseconds(100))])
        #expect(stalls.stalled == [1])
        for step in 1...20 {
            #expect(stalls.look([reading(turn(begin))], at: late + .milliseconds(Int64(step) * 100)).isEmpty)
        }
        #expect(stalls.nextLook == late + .milliseconds(2_100), "its end is looked for")
        let end = late + .milliseconds(2_100)
        #expect(stalls.look([reading(turn(end))], at: end) == [.turnsAgain(1, after: .milliseconds(2_200))])
        #expect(stalls.stalled.isEmpty)
    }

    @Test func aBusyPoolIsLookedAtOncePerLimitAndAnIdleOneNever() {
        var stalls = watch()
        var now = start
        for _ in 0..<50 {
            now = now + .milliseconds(100)
            #expect(stalls.look([reading(turn(now))], at: now).isEmpty)
            #expect(stalls.nextLook == now + .milliseconds(100) && !stalls.asksForWakeUp)
        }
        // The last turn is over, and no other begins.
        let word = turn(now, isOver: true)
        _ = stalls.look([reading(word)], at: now + .milliseconds(100))
        #expect(!stalls.asksForWakeUp, "its end was seen only now")
        _ = stalls.look([reading(word)], at: now + .milliseconds(200))
        #expect(stalls.asksForWakeUp && stalls.nextLook != nil, "one more look after that")
        _ = stalls.look([reading(word)], at: now + .milliseconds(300))
        #expect(stalls.asksForWakeUp && stalls.nextLook == nil)
        stalls.wake(at: now + .seconds(60))
        #expect(!stalls.asksForWakeUp && stalls.nextLook == now + .seconds(60) + .milliseconds(100))
    }

    @Test func aWorkerThatWasNotReadyHasItsTimeFromThenOn() {
        var stalls = watch()
        let old = turn(start + .milliseconds(-5_000))
        let now = start + .milliseconds(100)
        #expect(stalls.look([reading(old, spawn: 2)], at: now).isEmpty)
        #expect(stalls.look([reading(old, spawn: 2)], at: now + .milliseconds(100)).count == 1)
    }

    @Test func anAnnouncedPauseIsNoStall() {
        var stalls = watch()
        let begin = start + .milliseconds(1)
        let until = start + .milliseconds(900)
        #expect(stalls.look([reading(turn(begin), extended: until)], at: start + .milliseconds(800)).isEmpty)
        #expect(stalls.look([reading(turn(begin), extended: until)], at: start + .milliseconds(999)).isEmpty)
        #expect(stalls.look([reading(turn(begin), extended: until)], at: start + .milliseconds(1_000)).count == 1)
    }

    @Test func aSupervisorThatStoodStillForgives() {
        var stalls = watch()
        let begin = start + .milliseconds(50)
        let late = start + .seconds(10)
        #expect(stalls.look([reading(turn(begin))], at: late).isEmpty)
        #expect(stalls.look([reading(turn(begin))], at: late + .milliseconds(100)).count == 1)
    }

    @Test(arguments: [UInt64.max, UInt64.max - 1, 0, 1, 2, 3] as [UInt64]) func anyWordOfAWorkerIsHarmless(word: UInt64) {
        var stalls = watch()
        for step in 1...5 { _ = stalls.look([reading(word)], at: start + .milliseconds(Int64(step) * 100)) }
        #expect(stalls.nextLook.map { $0 > start } ?? true)
    }
}
