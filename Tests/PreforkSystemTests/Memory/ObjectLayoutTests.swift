// The look at this runtime's objects, and what of it turns freezing off.

import PreforkTestSupport
import Testing

@testable import PreforkSystem

@Suite struct ObjectLayoutTests {
    @Test func `This runtime is the expected one`() {
        #expect(ObjectLayout.observed.problem == nil)
    }

    @Test func `Each fact that differs is a problem that is named`() {
        func problem(_ change: (inout ObjectLayout) -> Void) -> String? {
            var layout = ObjectLayout.observed
            change(&layout)
            return layout.problem
        }
        #expect(problem { $0.pointerBytes = 4 } == "pointers have 4 bytes")
        #expect(problem { $0.containerBytes[3] = 16 } == "containers have [8, 8, 32, 16, 8, 16] bytes")
        #expect(problem { $0.holdsAddresses = false } == "containers hold no addresses of their storage")
        #expect(
            problem { $0.staticWords[1] = 3 }
                == "static objects have the words [0x80000004ffffffff, 0x3, 0x80000004ffffffff]")
        #expect(problem { $0.staticWords = [] } == "static objects have the words []")
        #expect(problem { $0.storageWords[5] = 1 }?.hasSuffix("[0x3, 0x3, 0x3, 0x3, 0x3, 0x1]") == true)
        #expect(
            problem { $0.countedWords = [3, 4, 3] } == "a retain and a release make [0x3, 0x4, 0x3] of an object's word")
        #expect(problem { $0.countedWords = [5, 5 + ReferenceWord.strongUnit, 5] } != nil)
        #expect(problem { $0.countedWords = [] } != nil)
        #expect(problem { $0.countedWords.removeLast() } != nil)
        #expect(problem { $0.immortalWords[2] -= ReferenceWord.strongUnit }?.contains("0x80000002ffffffff") == true)
        #expect(problem { $0 = ObjectLayout() } != nil)
    }

    @Test func `Words are told apart`() {
        #expect(ReferenceWord.isImmortal(ReferenceWord.immortal))
        #expect(!ReferenceWord.isImmortal(ReferenceWord.ofOneReference))
        // All unowned references there can be, without bit 63.
        #expect(!ReferenceWord.isImmortal(0xFFFF_FFFF))
        // A side table's address ÷ 8, with bits 62 and 63.
        #expect(!ReferenceWord.isImmortal(0xC000_0ABC_1234_5678))
        #expect(!ReferenceWord.canBecomeImmortal(0xC000_0ABC_1234_5679))
        #expect(ReferenceWord.canBecomeImmortal(3) && ReferenceWord.canBecomeImmortal(5 + 7 * ReferenceWord.strongUnit))
        #expect(!ReferenceWord.canBecomeImmortal(3 | 1 << 32), "its deinit has begun")
        #expect(!ReferenceWord.canBecomeImmortal(2), "not Swift alone frees it")
    }

    @Test func `A weak reference keeps an object from becoming immortal`() {
        final class Object {}
        let object = Object()
        weak var reference = object
        #expect(makeImmortal(object) == .refused && reference != nil)
        let other = Object()
        #expect(makeImmortal(other) == .made && makeImmortal(other) == .was)
    }
}
