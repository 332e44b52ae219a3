// A part of the matrix of `Scripts/storm deploys`, and everything at once.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(5))) struct DeployTests {
    /// One part of the package in use, and one way in which processes come and go.
    struct Cell: CustomTestStringConvertible, Sendable {
        let part: String
        let order: String
        var testDescription: String { "\(part), \(order)" }
    }

    /// The pairs in which work was lost, came twice or failed before, and those of the most machinery.
    static let cells = [
        "active": ["reload", "upgrade", "crash"],
        "passive": ["restart", "failed upgrade"],
        "call": ["stop", "reload", "upgrade"],
        "queue": ["upgrade", "stop"],
        "unacknowledged": ["upgrade", "crash"],
        "subscription": ["upgrade", "recycling"],
        "watch": ["upgrade"],
        "managed": ["upgrade", "restart"],
        "tree": ["upgrade"],
        "subprocess": ["stop"],
        "large": ["upgrade"],
    ].sorted { $0.key < $1.key }.flatMap { part, orders in orders.map { Cell(part: part, order: $0) } }

    @Test(arguments: cells)
    func `A deployment loses nothing, doubles nothing and keeps the order`(cell: Cell) async throws {
        let service = try await DeployedService(
            cell.part, environment: cell.order == "recycling" ? ["PREFORK_RECYCLE_LIFETIME": "300ms"] : [:])
        try await service.waitForSends(20)
        let worker = service.worker
        func waitForSuccessor() async throws {
            try await service.wait("worker 0 has a successor") { service.worker != worker }
        }
        switch cell.order {
        case "stop": break
        case "reload": try await service.tell("reload", "--wait")
        case "restart": try await service.tell("restart", "0", "--wait")
        case "recycling": try await waitForSuccessor()
        case "upgrade": try await service.tell("upgrade", "--wait")
        case "failed upgrade": try await service.tell("upgrade", "--wait", "--exec", "/bin/false", mayFail: true)
        default:
            kill(worker, SIGKILL)
            try await waitForSuccessor()
        }
        if cell.order != "stop" {
            try await service.waitForSends(2)
            try await service.settle(lost: cell.order == "crash" && cell.part != "unacknowledged" ? 1 : 0)
        }
        try await service.end()
        #expect(service.ledger.faults(cell.part, cell.order) == [], "\(service.program.errors)")
    }

    @Test func `Two upgrades and three reloads with everything in use lose no request and no message`() async throws {
        let service = try await DeployedService("all", ["rest=10"])
        let parts = [
            "active", "passive", "call", "queue", "unacknowledged", "subscription", "watch", "managed", "tree",
            "subprocess",
        ]
        let port = try await service.program.waitForLine("port 127.0.0.1:")
        let load = try await ConstantLoad(on: try #require(UInt16(port)), keep: 2, once: 1)
        for order in ["reload", "upgrade", "reload", "upgrade", "reload"] {
            for part in parts { try await service.waitForSends(1, part) }
            try await service.tell(order, "--wait")
        }
        let (answers, failures, reasons) = try await load.stop()
        #expect(failures == 0 && answers > 0, "\(reasons)")
        try await service.settle(parts)
        let requests = try await service.tell("metrics").split(separator: "\n")
            .first { $0.hasPrefix("prefork_requests_total ") }
        #expect(requests.flatMap { Int($0.split(separator: " ").last ?? "") } == answers)
        try await service.end()
        for part in parts { #expect(service.ledger(of: part).faults(part, "upgrade") == [], "\(part)") }
    }

    /// The old worker has a message in hand for as long as the test wants, and the new one is ready. Messages go on
    /// coming through the ring and beside it.
    @Test(arguments: ["active", "passive", "call", "large", "subscription", "managed"])
    func `An end is the old worker's until its callbacks are done, and nothing is lost, late or in another order`(
        part: String
    ) async throws {
        // Slowly: there must be room in the ring for as long as the test takes.
        let service = try await DeployedService(part, ["rest=20"])
        try await service.waitForSends(10)
        service.turnOn("hold")
        try await service.wait("a message is in hand") { !service.ledger.of("held").isEmpty }
        let receivers = Set(service.ledger.lines.filter { $0.word == "got" }.map(\.pid))
        let got = service.ledger.of("got").count
        // Managed processes end before the new program begins: that of an upgrade would wait for the sink's message,
        // and for the answer to the source's call.
        try await service.tell(part == "managed" || part == "call" ? "reload" : "upgrade", "--wait")
        if part != "call" { try await service.waitForSends(10) }
        if part == "active" || part == "large" {
            // What was received actively is the program's own, and the new worker need not wait for its end.
            try await service.wait("the new worker receives") { service.ledger.of("got").count > got }
        } else {
            #expect(service.ledger.of("got").count == got, "the new worker waits for the old one")
        }
        service.turnOff("hold")
        try await service.waitForSends(10)
        try await service.settle()
        try await service.end()
        let ledger = service.ledger
        #expect(ledger.faults(part, "upgrade") == [], "\(service.program.errors)")
        let later = ledger.lines.filter { $0.word == "got" }.map(\.pid)
        #expect(Set(later.prefix(got)) == receivers)
        if part != "managed" { #expect(receivers.isDisjoint(with: later.dropFirst(got))) }
    }

    @Test func `Scaling down closes the end of the worker that goes, and scaling up opens it again`() async throws {
        let service = try await DeployedService("active", ["worker=1"])
        try await service.waitForSends(10)
        try await service.tell("scale", "--wait", "1")
        try await service.wait("the peer has heard of it") { service.ledger.of("event").count >= 2 }
        // What is sent now is refused: no successor will come.
        try await service.wait("sends fail") { service.ledger.of("error").contains { $0.hasSuffix("closed") } }
        try await service.tell("scale", "--wait", "2")
        let errors = service.ledger.of("error").count
        try await service.waitForSends(20)
        try await service.settle(lost: .max)
        try await service.end()
        let ledger = service.ledger
        #expect(ledger.of("event") == ["attached(generation: 1)", "closed", "attached(generation: 2)"])
        #expect(ledger.of("error").allSatisfy { $0.hasSuffix(": lane-active: closed") })
        // One may have been under way when the end was opened.
        #expect(ledger.of("error").count <= errors + 1)
        let refused = Set(ledger.of("error").compactMap { Int($0.split(separator: " ")[1].dropLast()) })
        let got = ledger.numbers("got")
        #expect(got == got.sorted() && Set(got).count == got.count)
        #expect(Set(ledger.numbers("sent")).subtracting(got) == refused)
    }
}
