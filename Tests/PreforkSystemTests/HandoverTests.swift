// What is taken of that which another image has left.

import Testing

@testable import PreforkSystem

@Suite struct HandoverTests {
    /// What is not taken is closed with the rest; what is taken, only by who took it.
    @Test func anItemWithAnotherNumberOfDescriptorsStays() {
        let odd = HandoverItem(kind: "store", key: "a", descriptors: [5])
        let fitting = HandoverItem(kind: "store", key: "a", descriptors: [6, 7])
        var items: [HandoverItem]? = [odd]
        #expect(Handover.take("store", key: "a", descriptors: 2, from: &items) == nil)
        #expect(items == [odd])
        items?.append(fitting)
        #expect(Handover.take("store", key: "a", descriptors: 2, from: &items) == fitting)
        #expect(Handover.take("store", key: "a", descriptors: nil, from: &items) == odd)
        #expect(items == [])
    }
}
