// Which of its things an image finds among those that the image before has left.

import Glibc
import Testing

@testable import PreforkSystem

@Suite struct HandoverTests {
    /// What an image leaves that makes these things: names, and nil for one without a name.
    private func left(by names: [String?], kind: String = "store") -> [HandoverItem] {
        var ledger = HandoverLedger()
        for (index, name) in names.enumerated() { make(name, in: &ledger, kind: kind, descriptor: Int32(index) + 10) }
        return ledger.offers
    }

    /// - Returns: the descriptor that was left for it, or nil.
    @discardableResult
    private func make(
        _ name: String?, was: Int? = nil, in ledger: inout HandoverLedger, kind: String = "store",
        descriptor: Int32 = 99
    ) -> Int32? {
        let claim = ledger.claim(kind, name: name, was: was)
        let number = claim.left?.descriptors.first
        _ = ledger.offer(claim, descriptors: [number ?? descriptor], text: "", isTaken: number != nil)
        return number
    }

    private func later(_ items: [HandoverItem]) -> HandoverLedger { HandoverLedger(received: items, isLater: true) }

    @Test func `The same program finds everything where it was`() {
        let names: [String?] = [nil, "a", nil, "b", "a"]
        var ledger = later(left(by: names))
        #expect(names.map { make($0, in: &ledger) } == [10, 11, 12, 13, 14])
        #expect(ledger.objections.isEmpty && ledger.received.isEmpty)
    }

    @Test func `One more without a name is an objection with both lists`() {
        var ledger = later(left(by: [nil]))
        make(nil, in: &ledger)
        make(nil, in: &ledger)
        #expect(
            ledger.objections == [
                """
                stores without a name are matched by the order in which they are made: the previous program has 0, \
                this one 0, 1. Give the new ones a name
                """
            ])
    }

    @Test func `One fewer without a name is an objection, and so is none`() {
        var ledger = later(left(by: [nil, nil]))
        make(nil, in: &ledger)
        #expect(ledger.objections.count == 1 && ledger.objections[0].contains("has 0, 1, this one 0."))
        #expect(later(left(by: [nil])).objections[0].contains("has 0, this one none."))
    }

    /// The first image of a process has nothing to compare with.
    @Test func `The first image has no objections`() {
        var ledger = HandoverLedger()
        make(nil, in: &ledger)
        make("a", in: &ledger)
        #expect(ledger.objections.isEmpty)
    }

    @Test func `Names come and go, and the order of the others does not matter`() {
        var ledger = later(left(by: ["a", nil, "b"]))
        #expect(make("new", in: &ledger) == nil)
        #expect(make("b", in: &ledger) == 12)
        #expect(make(nil, in: &ledger) == 11)
        #expect(ledger.objections.isEmpty)
        #expect(ledger.received.map(\.descriptors) == [[10]], "what nothing has taken")
    }

    /// prices and sessions of the issue: a store without a name gets one, and a new one comes first.
    @Test func `A store that gets a name is found by its number, and by its name from then on`() {
        var second = later(left(by: [nil, nil]))
        #expect(make("prices", in: &second) == nil)
        #expect(make("sessions", was: 0, in: &second) == 10)
        #expect(make(nil, in: &second) == 11, "0 is that of sessions")
        #expect(second.objections.isEmpty)
        var third = later(second.offers)
        #expect(make("prices", in: &third) == 99)
        #expect(make("sessions", was: 0, in: &third) == 10)
        #expect(make(nil, in: &third) == 11)
        #expect(third.objections.isEmpty)
    }

    @Test func `A number that another one has is an objection`() {
        var ledger = later(left(by: [nil, nil]))
        make(nil, in: &ledger)
        make("sessions", was: 0, in: &ledger)
        #expect(ledger.objections.first == "store sessions was store 0, which this program has already made")
    }

    @Test func `What cannot be read is an objection by name, and nothing has taken it`() {
        let first = left(by: ["a", nil])
        var ledger = later(first)
        for name in ["a", nil] {
            let claim = ledger.claim("store", name: name, was: nil)
            #expect(claim.left != nil)
            ledger.refuse(claim, "another layout")
            _ = ledger.offer(claim, descriptors: [50], text: "", isTaken: false)
        }
        #expect(ledger.objections == ["store a: another layout", "store 0: another layout"])
        #expect(ledger.received == first)
    }

    @Test func `What is made while workers are supervised is left to nobody`() {
        var ledger = HandoverLedger()
        make("a", in: &ledger)
        ledger.isSettled = true
        make("b", in: &ledger)
        make(nil, in: &ledger)
        #expect(ledger.offers.map(\.key) == ["name a"])
    }

    @Test func `Kinds do not meet, and one that is gone leaves its name to the next`() {
        var ledger = later(left(by: ["x"], kind: "queue"))
        #expect(make("x", in: &ledger, kind: "channel") == nil)
        let claim = ledger.claim("queue", name: "x", was: nil)
        #expect(claim.left?.descriptors == [10])
        let id = ledger.offer(claim, descriptors: [10], text: "", isTaken: true)
        #expect(ledger.claim("queue", name: "x", was: nil).name == .name("x", again: 1))
        ledger.withdraw(id)
        #expect(ledger.claim("queue", name: "x", was: nil).name == .name("x", again: 0))
    }

    @Test func `Another program is not left a number that is closed`() {
        let item = HandoverItem(kind: "x", key: "", descriptors: [900], text: "")
        let error = ProgramImage.execute(.path("/nonexistent"), leaving: [item], for: .upgrade)
        #expect(error.errno == .badDescriptor, "\(error)")
        #expect("\(error)".contains("descriptor 900"))
        #expect(getenv(Handover.variable) == nil)
    }

    @Test func `A child forgets what it has closed`() {
        var ledger = later(left(by: ["a", "b"]))
        make("a", in: &ledger)
        ledger.forget([10])
        #expect(ledger.offers.isEmpty && ledger.received.map(\.descriptors) == [[11]])
        ledger.forget([11])
        #expect(ledger.received.isEmpty)
    }
}
