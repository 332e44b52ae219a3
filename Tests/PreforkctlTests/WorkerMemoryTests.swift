// Shared and private memory of workers, which the tool reads itself.

import PreforkSupervisor
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import preforkctl

@Suite(.timeLimit(.minutes(2))) struct WorkerMemoryTests {
    private static func status(of pids: [Int32]) throws -> JSONValue {
        let workers = pids.enumerated().map { "{\"slot\":\($0.offset),\"pid\":\($0.element)}" }
        return try JSONParser.parse(Array("{\"supervisor\":7,\"workers\":[\(workers.joined(separator: ","))]}".utf8))
    }

    @Test func `Workers have what is shared and what is their own`() throws {
        var memory = WorkerMemory()
        // The second one is no process.
        let status = memory.added(to: try Self.status(of: [CurrentProcess.pid, .max]), supervisor: 7)
        let workers = try #require(status["workers"]?.array)
        let own = try #require(workers[0]["private"]?.integer)
        #expect(own > 1 << 20 && (workers[0]["shared"]?.integer ?? 0) > 0)
        #expect((workers[0]["pss"]?.integer ?? 0) >= own)
        #expect(workers[1]["private"] == nil)
        let lines = WorkerMemory.metrics(of: status).split(separator: "\n")
        #expect(lines.count == 9)
        #expect(lines.last == "prefork_worker_private_bytes{slot=\"0\",pid=\"\(CurrentProcess.pid)\"} \(own)")
        let table = ControlTable.status(status).split(separator: "\n")
        #expect(table.contains { $0.contains("PSS  SHARED  PRIVATE") })
    }

    @Test func `A status is not read again within ten seconds, and not at all from another namespace`() throws {
        var memory = WorkerMemory()
        let first = memory.added(to: try Self.status(of: [CurrentProcess.pid]), supervisor: 7)
        let own = first["workers"]?.array?.first?["private"]
        // Pages of this process that are touched now.
        let bytes = [UInt8](repeating: 1, count: 8 << 20)
        let second = memory.added(to: try Self.status(of: [CurrentProcess.pid]), supervisor: 7)
        #expect(own != nil && second["workers"]?.array?.first?["private"] == own && bytes.last == 1)
        let foreign = try Self.status(of: [CurrentProcess.pid])
        #expect(memory.added(to: foreign, supervisor: 8) == foreign)
    }
}
