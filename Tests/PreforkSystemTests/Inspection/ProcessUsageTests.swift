// What processes use and how many connections wait, against what the test did itself.

import PreforkTestSupport
import Testing

@testable import PreforkSystem

@Suite(.timeLimit(.minutes(2)))
struct ProcessUsageTests {
    @Test func `Memory and time of this process are read`() throws {
        var reader = ProcessUsageReader()
        let found = reader.usage(of: CurrentProcess.pid)
        let usage = try #require(found)
        #expect(usage.resident > 1 << 20)
        #expect(usage.processorTime > .zero)
        let parts = reader.memory(of: CurrentProcess.pid)
        let memory = try #require(parts)
        #expect(memory.proportional > 1 << 20 && memory.unique > 1 << 20 && memory.shared > 0)
        #expect(memory.proportional >= memory.unique)
    }

    @Test func `A process that is not there uses nothing that is known`() {
        var reader = ProcessUsageReader()
        let nobody = [reader.usage(of: 0), reader.usage(of: .max)]
        #expect(nobody == [nil, nil])
    }

    @Test func `Own and shared memory are sums of lines by their names`() {
        func memory(_ text: String) -> ProcessMemory? { ProcessMemory(rollup: Array(text.utf8)[...]) }
        let text = """
            55d0-7ffc ---p 0 00:00 0 [rollup]
            Rss: 9 kB
            Pss:      12 kB
            Pss_Dirty: 3 kB
            Shared_Clean: 1 kB
            Shared_Dirty: 2 kB
            Private_Clean: 4 kB
            Private_Dirty: 8 kB
            Private_Hugetlb: 16 kB

            """
        #expect(memory(text) == ProcessMemory(proportional: 12 << 10, unique: 12 << 10, shared: 3 << 10))
        #expect(memory(text.replacing("Pss: ", with: "Pass: ")) == nil)
        #expect(memory(text.replacing("2 kB", with: "kB")) == nil)
        #expect(memory(text.replacing("8 kB", with: "9223372036854775807 kB")) == nil)
        #expect(memory("") == nil)
    }

    @Test(arguments: [false, true])
    func `The connections that wait are counted`(_ isUnix: Bool) async throws {
        let endpoint: Endpoint = isUnix ? .unix(try temporaryPath()) : .tcp("127.0.0.1", 0)
        let listener = try Listener(endpoint, backlog: 16)
        #expect(listener.queue == ListenQueue(waiting: 0, limit: 16))
        let clients = try (0..<3).map { _ in try connected(to: listener.address) }
        // Over TCP, the last step of a handshake may come a moment after `connect`.
        try await eventually("three wait") { listener.queue?.waiting == 3 }
        let accepted = try Socket.accept(listener.descriptor)
        #expect(listener.queue?.waiting == 2)
        for number in clients { closeDescriptor(number) }
        if let accepted { closeDescriptor(accepted.socket) }
    }

    private func connected(to address: SocketAddress) throws -> Int32 {
        let client = try Socket.open(for: address)
        do {
            try Socket.connect(client, to: address)
        } catch {
            // Non-blocking: TCP says so even on the loopback, where the connection is there at once.
            if error.errno != .inProgress { throw error }
        }
        return client
    }
}
