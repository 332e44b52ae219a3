// The instrument that looks for parameters without a row finds those that are there.

import PreforkTestSupport
import Testing

@Suite struct PublicParametersTests {
    @Test func parametersOfEveryKindOfDeclarationAreFound() {
        let source = """
            public struct Box: Sendable {
                public var size: Int
                public private(set) var seen: Int
                public var name = ""
                public var doubled: Int { size * 2 }
                var own: Int
                public enum Kind {
                    case plain
                    case named(String, limit: Int = 7)
                }
                public init(
                    size: Int, _ texts: [String] = [], wait: Duration? = nil,
                    then body: @escaping (Int) -> Void
                ) {}
                // public func commented(out: Int) {}
                func hidden(_ count: Int) {}
                @available(*, unavailable, renamed: "make(from:flag:)")
                public func build(of text: String) {}
                @available(
                    *, unavailable, message: "a long one")
                @discardableResult
                public func built(of text: String) -> Int { 0 }
            }

            extension Box {
                @discardableResult
                public static func make(from text: some StringProtocol, flag: Bool) -> Box? { nil }
            }

            public func free(_ count: Int) {}
            """
        #expect(
            PublicParameters.names(of: source) == [
                "Box.size", "Box.name", "Box.Kind.named.0", "Box.Kind.named.limit", "Box.init.size", "Box.init.texts",
                "Box.init.wait", "Box.make.from", "free.count",
            ])
    }

    @Test func aParameterWithoutARowAndARowOrAReasonForNothingAreGaps() {
        let row = Parameter.value("Listener.init.colour", "blue", .means("nothing")) {}
        let found = gaps(
            in: row, module: "PreforkSystem",
            reasons: ["Listener.init": "this test", "Endpoint.tcp.0": "this test", "Gone": "this test"])
        for gap in [
            "Endpoint.tcp.1 has neither a row nor a reason", "Signal.init.rawValue has neither a row nor a reason",
            "the table has Listener.init.colour, which is no parameter", "the reason for Gone is for nothing",
        ] { #expect(found.contains(gap)) }
        #expect(!found.contains { $0.contains("Listener.init.backlog") || $0.contains("Endpoint.tcp.0") })
        #expect(gaps(in: row, module: "NoSuchModule", reasons: [:]).count == 1)
    }

    private struct Bad: Error, CustomStringConvertible { var description = "bad \u{1B}" }

    @Test func aRowTellsWhetherItsValueWasTreatedAsItSays() async {
        func problems(_ outcome: Outcome, _ body: @escaping @Sendable () throws -> Void) async -> [String] {
            var all: [String] = []
            for row in Parameter.value("a", "b", outcome, body) { all += await row.problems() }
            return all
        }
        #expect(await problems(.means("something")) {} == [])
        #expect(await problems(.refused("bad")) { throw Bad(description: "a bad one") } == [])
        #expect(await problems(.refused("bad")) {} == ["was taken"])
        #expect(await problems(.means("something")) { throw Bad(description: "x") } == ["was refused: x"])
        #expect(
            await problems(.refused("worse")) { throw Bad(description: "bad") } == ["has an error without 'worse': bad"]
        )
        #expect(await problems(.refused("bad")) { throw Bad() } == ["has an error with control characters"])
        let huge = String(repeating: "x", count: 5_000)
        #expect(await problems(.refused()) { throw Bad(description: huge) } == ["has an error of 5000 bytes"])
        #expect(await problems(.refused()) { throw CancellationError() } == ["was cancelled"])
    }
}
