// Values as bytes and back.

import PreforkStore
import Testing

@Suite(.timeLimit(.minutes(2)))
struct SharedValueTests {
    private func travel<From: SharedValue, To: SharedValue>(_ value: From, as type: To.Type) -> To? {
        value.withSharedBytes { kind, bytes in To(sharedBytes: bytes, kind: kind) }
    }

    @Test func valuesComeBackAsTheyWere() {
        #expect(travel([1, 2, 3], as: [UInt8].self) == [1, 2, 3])
        #expect(travel("größer 🦆", as: String.self) == "größer 🦆")
        #expect(travel(true, as: Bool.self) == true)
        #expect(travel(-0.5, as: Double.self) == -0.5)
        #expect(travel(Int.min, as: Int.self) == .min)
        #expect(travel(UInt64.max, as: UInt64.self) == .max)
    }

    @Test func numbersAreReadByEveryTypeTheyFitInto() {
        #expect(travel(200, as: UInt8.self) == 200)
        #expect(travel(300, as: UInt8.self) == nil)
        #expect(travel(UInt64.max, as: Int64.self) == nil)
        #expect(travel(Int8(-1), as: UInt64.self) == nil)
    }

    @Test func aValueIsNotReadAsAnotherKind() {
        #expect(travel("5", as: Int.self) == nil)
        #expect(travel(5, as: Double.self) == nil)
        #expect(travel([65], as: String.self) == nil)
    }
}
