// What operators see of stores, queues, channels and managed processes, in a living service.

import PreforkSupervisor
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct SharedObjectTests {
    /// Over a reload and an upgrade, too: the objects are the same, and their counters go on.
    @Test func everyObjectHasARowWithFiguresThatGoOn() async throws {
        let service = try await DeployedService("unacknowledged")
        try await service.waitForSends(20)
        func row(_ command: String, _ name: String, _ figure: String) async throws -> Int64 {
            let text = try await service.tell(command, "--json")
            let row = try #require(try JSONParser.parse(Array(text.utf8)).array?.first { $0["name"]?.string?.unescaped == name })
            return row[figure]?.integer ?? -1
        }
        let first = try await row("queues", "careful", "sent")
        #expect(first >= 20)
        #expect(try await row("queues", "queue", "sent") == 0, "the part that is not played")
        #expect(try await row("stores", "0", "entryLimit") == 1000)
        #expect(try await row("channels", "lane-active", "generation") >= 0)
        let table = try await service.tell("queues")
        #expect(table.contains("QUEUE") && table.contains("careful"))
        let status = try await service.tell("status")
        for head in ["MANAGED", "QUEUE", "CHANNEL", "STORE"] { #expect(status.contains(head), "\(status)") }

        _ = try await service.tell("reload", "--wait")
        let second = try await row("queues", "careful", "sent")
        #expect(second >= first)
        _ = try await service.tell("upgrade", "--wait")
        #expect(try await row("queues", "careful", "sent") >= second)
        let metrics = try await service.tell("metrics")
        #expect(metrics.contains("\nprefork_queue_sent_total{queue=\"careful\"} "))
        #expect(metrics.contains("\nprefork_managed_up{process=\"source\"} 1\n"))
        #expect(metrics.contains("\nprefork_store_entries_limit{store=\"0\"} 1000\n"))
        #expect(metrics.contains("\nprefork_channel_sent_total{channel=\"lane-active\",end=\"creator\"} 0\n"))
        try await service.settle()
        try await service.end()
    }

    /// Depth, ends and rate of a channel that is in use.
    @Test func aChannelInUseShowsBothEnds() async throws {
        let service = try await DeployedService("active")
        try await service.waitForSends(20)
        let text = try await service.tell("channels", "--json")
        let ends = try #require(try JSONParser.parse(Array(text.utf8)).array).filter { $0["name"] == .string("lane-active") }
        #expect(ends.map { $0["end"] } == [.string("creator"), .string("peer")])
        // The supervisor has made it, and does not use its end. Source and worker are at one end each.
        #expect(ends.compactMap { $0["sent"]?.integer }.reduce(0, +) >= 20)
        #expect(ends.contains { $0["state"] == .string("open") })
        try await service.settle()
        try await service.end()
    }
}
