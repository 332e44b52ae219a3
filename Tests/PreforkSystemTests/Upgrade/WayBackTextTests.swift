// What the program before reads of the end of the one after it.

import Testing

@testable import PreforkSystem

@Suite struct WayBackTextTests {
    @Test func endsAreReadAsTheyAreWritten() {
        #expect(WayBack.End(text: "s11") == .signal(.segmentationFault))
        #expect(WayBack.End(text: "e0") == .exit(code: 0))
        #expect(WayBack.End(text: "e255") == .exit(code: 255))
        #expect(WayBack.End(text: "q0") == .quickExit)
        #expect(WayBack.End(text: "t0") == .startLimit)
        for text in ["", "s", "e256", "e-1", "x3", "11"] { #expect(WayBack.End(text: Substring(text)) == nil, "\(text)") }
        #expect("\(WayBack.End.signal(.segmentationFault)), \(WayBack.End.exit(code: 3))" == "SIGSEGV, exit code 3")
    }

    @Test func thisProcessHasNone() {
        #expect(!WayBack.isOpen && WayBack.take() == nil)
    }
}
