// What signals mean for the trees of a program.

import PreforkSystem
import Testing

@testable import Prefork

struct SignalPlanTests {
    @Test func theFirstSignalAsksAndCancelsBodiesThatCannotHear() {
        var plan = SignalPlan()
        let (deaf, other) = (plan.newScope(), plan.newScope())
        #expect(plan.signal(.terminate, running: [deaf, other], deaf: [deaf]) == .ask(cancelled: [deaf]))
        #expect(plan.signal(.interrupt, running: [deaf, other], deaf: []) == .cancel([other]))
        #expect(plan.signal(.interrupt, running: [deaf, other], deaf: []) == .hurry)
    }

    @Test func withoutBodiesTheSecondSignalHurries() {
        var plan = SignalPlan()
        #expect(plan.signal(.interrupt, running: [], deaf: []) == .ask(cancelled: []))
        #expect(plan.signal(.interrupt, running: [], deaf: []) == .hurry)
    }

    @Test(arguments: [true, false]) func aProgramWhoseCancelledBodyThrewEndsByTheSignal(thrown: Bool) {
        var plan = SignalPlan()
        let (cancelled, untouched) = (plan.newScope(), plan.newScope())
        _ = plan.signal(.interrupt, running: [cancelled], deaf: [cancelled])
        plan.ended(untouched, thrown: true)
        #expect(plan.lastWord == nil)
        plan.ended(cancelled, thrown: thrown)
        #expect(plan.lastWord == (thrown ? .interrupt : nil))
    }
}
