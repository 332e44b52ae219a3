// Stacks as text and as a picture.

import PreforkSupervisor
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import preforkctl

@Suite struct FlameGraphTests {
    private func stacks(_ recorded: [[UInt64]: Int], _ names: [UInt64: [String]]) -> FoldedStacks {
        FoldedStacks(recorded) { address, _ in names[address] ?? [] }
    }

    @Test func stacksBeginWithTheOutermostFrame() {
        let folded = stacks([[1, 2, 3]: 4, [2, 3]: 2], [1: ["leaf"], 2: ["inlined_[i]", "serve"], 3: ["main"]])
        #expect(folded.text == "main;serve;inlined_[i] 2\nmain;serve;inlined_[i];leaf 4\n")
    }

    @Test func stacksOfOneNameAreOne() {
        let folded = stacks([[1, 3]: 4, [2, 3]: 2], [1: ["f"], 2: ["f"], 3: ["main"]])
        #expect(folded.text == "main;f 6\n")
    }

    @Test func aNameCannotBeTwoFramesOrTwoLines() {
        let folded = stacks([[1]: 1], [1: ["a;b\nc\u{1B}[2J"]])
        #expect(folded.text == "a:b\\u{A}c\\u{1B}[2J 1\n")
    }

    @Test func thePictureHasABoxForEachFrameAndNoMarkupOfNames() throws {
        let name = "<script>alert(\"1\")</script>&'\u{202E}"
        let svg = FlameGraph(stacks([[1, 2]: 3, [2]: 1], [1: [name], 2: ["main"]]), title: "4 samples of <x>").svg
        #expect(svg.components(of: "<rect") == 4)
        #expect(svg.contains("<title>main (4 samples, 100 %)</title>"))
        #expect(svg.contains("(3 samples, 75 %)</title>"))
        #expect(svg.contains("4 samples of &lt;x&gt;</text>"))
        #expect(svg.contains("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;\\u{202E}"))
        #expect(!svg.contains("<script") && !svg.contains("\u{202E}"))
        for part in ["<svg", "<g>", "</g>", "</svg>"] { #expect(svg.contains(part)) }
        #expect(svg.components(of: "<g") == svg.components(of: "</g>"))
    }

    @Test func anEmptyPictureIsAPicture() {
        let svg = FlameGraph(stacks([:], [:]), title: "nothing").svg
        #expect(svg.hasSuffix("</svg>\n") && svg.components(of: "<rect") == 1)
    }

    @Test func boxesTooNarrowToSeeAreLeftOut() {
        var recorded: [[UInt64]: Int] = [[1]: 1_000_000]
        var names: [UInt64: [String]] = [1: ["wide"]]
        for frame in 2..<2_000 as Range<UInt64> {
            recorded[[frame]] = 1
            names[frame] = ["narrow \(frame)"]
        }
        #expect(FlameGraph(stacks(recorded, names), title: "").svg.components(of: "<rect") == 3)
    }

    private func answer(_ text: String) throws -> JSONValue { try JSONParser.parse(Array(text.utf8)) }

    @Test func answersAddUp() throws {
        var recording = try ProfileRecording(
            try answer(
                #"""
                {"profile":{"number":7,"workers":1,"objects":[
                {"path":"/bin/b","base":"0x2000","start":"0x2000","end":"0x3000","buildID":"0a0b"},
                {"path":"/bin/a","base":"0x1000","start":"0x1000","end":"0x2000","buildID":""},
                {"path":"linux-vdso.so.1","base":"0x1","start":"0x1","end":"0x2","buildID":""}, 3]}}
                """#))
        #expect(recording.number == 7 && recording.images.map(\.path) == ["/bin/a", "/bin/b"])
        #expect(recording.images[1].buildID == [10, 11])
        let part = #"""
            {"profile":{"isOver":false,"lost":2,"notes":["one"],"workers":[
            {"slot":0,"pid":9,"samples":"1 1001 2001\n2 1001 2001\n1 1002\n0 1\n1025 1\n1\nx y\n"}]}}
            """#
        recording.add(try answer(part))
        recording.add(try answer(part.replacing("false", with: "true")))
        #expect(recording.isOver && recording.lost == 4 && recording.samples == 8 && recording.pids == [9])
        #expect(recording.stacks == [[0x1001, 0x2001]: 6, [0x1002]: 2])
        let names = ProfileNames(recording)
        #expect(names.functions(at: 0x2001, isReturn: true) == ["b+0x1"])
        #expect(names.functions(at: 0x9999, isReturn: false) == ["0x9999"])
    }

    @Test func whatIsNoProfileIsRefused() throws {
        for text in ["{}", #"{"profile":{}}"#, #"{"profile":{"number":"1"}}"#] {
            #expect(throws: ControlClientError.self) { try ProfileRecording(try answer(text)) }
        }
    }
}

extension String {
    fileprivate func components(of part: String) -> Int { ranges(of: part).count }
}
