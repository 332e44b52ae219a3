// What the program before reads of the end of the one after it.

import Testing

@testable import PreforkSystem

@Suite struct RollbackTextTests {
    @Test func endsAreReadAsTheyAreWritten() {
        #expect(Rollback.End(text: "s11") == .signal(.segmentationFault))
        #expect(Rollback.End(text: "e0") == .exit(code: 0))
        #expect(Rollback.End(text: "e255") == .exit(code: 255))
        #expect(Rollback.End(text: "q0") == .quickExit)
        #expect(Rollback.End(text: "t0") == .startLimit)
        for text in ["", "s", "e256", "e-1", "x3", "11"] { #expect(Rollback.End(text: Substring(text)) == nil, "\(text)") }
        #expect("\(Rollback.End.signal(.segmentationFault)), \(Rollback.End.exit(code: 3))" == "SIGSEGV, exit code 3")
    }

    @Test func thisProcessHasNone() {
        #expect(!Rollback.isOpen && Rollback.take() == nil)
    }
}
