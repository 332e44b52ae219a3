// Workers and managed processes that are asked to stop while they wait for messages, and while they have one in hand.
// They have 100 s to drain, of which they need next to nothing.

import PreforkSystem
import PreforkTestSupport
import Testing

// One program at a time: many at once would keep other tests from the processors.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct StopProcessTests {
    private static let ways = [
        "queue-onReceive", "queue-receive", "queue-timeout", "queue-deliveries", "queue-blocking", "channel-receive",
        "channel-messages", "channel-call", "channel-passed", "channel-blocking", "channel-onReceive", "subscribe",
        "watch", "onSubscriberReceive",
    ]
    private static let forms = ["worker", "body-only", "managed"]

    private func stop(_ arguments: [String], when line: String) async throws -> [String] {
        let program = try ChildProgram("queue-fixture", ["stopping"] + arguments)
        try await program.waitForLine(line)
        program.send(.terminate)
        #expect(try await program.waitForExit(within: .seconds(20)) == 0, "\(program.output)\(program.errors)")
        return program.output.split(separator: "\n").map(String.init)
    }

    @Test(arguments: ways.filter { $0 != "onSubscriberReceive" }, forms)
    func anIdleProcessEndsAtOnce(way: String, form: String) async throws {
        #expect(
            try await stop([way, form], when: "waits") == ["waits", "returns", "queued 0, in flight 0"])
    }

    @Test(
        arguments: [
            "queue-onReceive", "queue-receive", "queue-deliveries", "channel-receive", "channel-messages",
            "channel-onReceive", "onSubscriberReceive",
        ], forms)
    func aBusyProcessFinishesWhatItHasInHandAndTakesNoMore(way: String, form: String) async throws {
        let lines = try await stop([way, form, "busy"], when: "begin 1")
        #expect(lines.filter { $0.hasPrefix("begin") || $0.hasPrefix("end") } == ["begin 1", "end 1, cancelled false"])
        #expect(lines.contains("returns"))
        #expect(lines.last == "queued \(way.hasPrefix("queue") ? 1 : 2), in flight 0")
    }
}
