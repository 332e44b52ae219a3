// A supervisor that has no descriptor left for one more client.

import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct DescriptorShortageTests {
    @Test func `Without descriptors the loop rests, and serves again when there are some`() async throws {
        let path = try temporaryPath()
        // Standard streams, three epolls and two listeners: four clients are left, once those of the runner are closed.
        let preparation = "for n in 3 4 5 6 7 8 9; do eval \"exec $n>&-\"; done; ulimit -n 12"
        let fixture = try ChildProgram("control-fixture", [path, "0", "2"], preparation: preparation)
        try await eventually("the fixture serves") { fixture.output.hasSuffix("\n") }
        var crowd: [TurnClient] = []
        for _ in 0..<20 { crowd.append(try TurnClient(.unix(path: path))) }
        try await eventually("every descriptor is taken") { entries("/proc/\(fixture.pid)/fd").count >= 12 }
        var reader = ProcessUsageReader()
        let before = reader.usage(of: fixture.pid)
        // Not a wait for something, but the time in which a loop that does not rest would use a processor.
        try await Task.sleep(for: .seconds(1))
        let after = reader.usage(of: fixture.pid)
        let used = try #require(after).processorTime - (try #require(before).processorTime)
        #expect(used < .milliseconds(500))
        crowd = []
        let client = try TurnClient(.unix(path: path))
        try client.send("{\"command\":\"config\"}\n")
        try await eventually("an answer") {
            client.receive()
            return client.text.hasPrefix("{\"ok\":true")
        }
    }
}
