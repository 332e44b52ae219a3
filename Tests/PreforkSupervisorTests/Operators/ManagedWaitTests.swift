// What operators are told of a managed process that they have had restarted.

import PreforkSystem
import Testing

@testable import PreforkSupervisor

@Suite struct ManagedWaitTests {
    private let wait = ManagedWait(name: "mailer", generation: 3)

    private func status(_ phase: TargetPhase, generation: Int, isCompleted: Bool = false) -> TargetStatus {
        TargetStatus(
            name: "mailer", phase: phase, isCompleted: isCompleted, pid: phase == .running ? 77 : nil,
            generation: generation, restarts: 0, ignoredCodes: 0)
    }

    @Test func `The process of before is waited for, whatever it does`() {
        for phase in [TargetPhase.running, .stopping, .backoff, .starting] {
            #expect(wait.outcome(status(phase, generation: 3)) == nil)
        }
        #expect(wait.outcome(status(.starting, generation: 4)) == nil)
    }

    @Test func `The next one runs, or has done its work`() {
        #expect(wait.outcome(status(.running, generation: 4)) == .done("mailer: pid 77 runs"))
        #expect(wait.outcome(status(.stopped, generation: 4, isCompleted: true)) == .done("mailer has finished"))
    }

    @Test func `What cannot come is told`() {
        #expect(wait.outcome(nil) == .failed("mailer was removed"))
        #expect(wait.outcome(status(.failed, generation: 4)) == .failed("mailer is not running"))
        #expect(wait.outcome(status(.stopped, generation: 3)) == .failed("mailer is not running"))
        #expect(wait.outcome(status(.backoff, generation: 4)) == .failed("mailer ended before it was ready"))
    }

    @Test func `Each client is told once, and all when the pool stops`() {
        var waits = ManagedWaits()
        waits.add(wait) { _ in }
        let early = waits.end(isEnding: false) { _ in status(.starting, generation: 4) }
        #expect(early.isEmpty)
        let over = waits.end(isEnding: true) { _ in status(.starting, generation: 4) }
        #expect(over.map(\.outcome) == [.failed("the pool is stopping")])
        let again = waits.end(isEnding: true) { _ in nil }
        #expect(again.isEmpty)
    }
}
