// Every public parameter of PreforkCBOR with values that make no sense.

import PreforkCBOR
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct ParameterTableTests {
    private struct Point: Codable, Sendable {
        var x: Int
    }

    @Test(arguments: table) func everyValueHasItsMeaningOrItsError(_ row: ParameterRow) async {
        await row.check()
    }

    @Test func noParameterIsMissing() {
        expectComplete(Self.table, module: "PreforkCBOR")
    }

    private static let table = Parameter.list(
        "CBORCodec.decode.from", of: UInt8(0xFF), empty: .refused(), huge: .refused()
    ) { _ = try CBORCodec().decode(Point.self, from: $0) }
}
