// The control socket against clients of every kind.

import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkSupervisor

@Suite(.timeLimit(.minutes(2)))
struct ControlServerTests {
    @Test func `A status has the pool, its workers and what they use`() async throws {
        let bench = try ControlBench(workers: 3)
        let answer = try await bench.ask(#"{"command":"status","detailed":true}"#)
        #expect(answer["ok"] == .bool(true))
        let status = try #require(answer["status"])
        #expect(status["ready"] == .integer(3))
        let workers = try #require(status["workers"]?.array)
        #expect(workers.map { $0["slot"] } == [.integer(0), .integer(1), .integer(2)])
        #expect(workers.allSatisfy { ($0["rss"]?.integer ?? 0) > 0 })
        #expect(workers.allSatisfy { ($0["cpu"]?.double ?? -1) >= 0 })
    }

    @Test func `Crashes, listeners, settings and metrics are told`() async throws {
        let bench = try ControlBench()
        bench.supervisor.reports = [ExitReport(slot: 1, pid: 9, status: .signaled(.abort, coreDumped: true))]
        let crashes = try await bench.ask(#"{"command":"crashes"}"#)
        #expect(crashes["crashes"]?.array?.first?["status"] == .string("killed by SIGABRT (core dumped)"))
        let listeners = try await bench.ask(#"{"command":"listeners"}"#)
        #expect(listeners["listeners"]?.array?.first?["waiting"] == .integer(3))
        let config = try await bench.ask(#"{"command":"config"}"#)
        #expect(config["settings"]?.array?.first?["name"] == .string("workers"))
        let metrics = try await bench.ask(#"{"command":"metrics"}"#)
        #expect(metrics["metrics"]?.string?.unescaped.contains("prefork_requests_total 14\n") == true)
        let workers = try await bench.ask(#"{"command":"workers"}"#)
        #expect(workers["workers"]?.array?.count == 2)
    }

    @Test func `What the processes share has rows`() async throws {
        let bench = try ControlBench()
        bench.supervisor.shared = madeUpObjects
        let stores = try await bench.ask(#"{"command":"stores"}"#)["stores"]?.array
        #expect(stores?.map { $0["entries"] } == [.integer(3)])
        let queues = try await bench.ask(#"{"command":"queues"}"#)["queues"]?.array
        #expect(queues?.first?["deadLetters"] == .integer(2) && queues?.first?["name"] == .string("jobs"))
        let ends = try await bench.ask(#"{"command":"channels"}"#)["channels"]?.array
        #expect(ends?.map { $0["end"] } == [.string("creator"), .string("peer")])
        #expect(ends?.map { $0["state"] } == [.string("open"), .string("unused")])
        let status = try await bench.ask(#"{"command":"status"}"#)["status"]
        #expect(status?["stores"]?.array == stores && status?["queues"]?.array == queues)
        #expect(status?["channels"]?.array == ends)
        #expect(try await bench.ask(#"{"command":"queues","slot":1}"#)["ok"] == .bool(false))
    }

    @Test func `A command is carried out and its result told`() async throws {
        let bench = try ControlBench()
        bench.supervisor.outcome = .done("5 workers")
        #expect(try await bench.ask(#"{"command":"scale","to":5}"#)["message"] == .string("5 workers"))
        bench.supervisor.outcome = .failed("no such slot")
        #expect(try await bench.ask(#"{"command":"kill","slot":9}"#)["error"] == .string("no such slot"))
        #expect(bench.supervisor.asked == [.scale(.to(5)), .kill(slot: 9)])
        #expect(bench.supervisor.completions.isEmpty)
    }

    @Test func `Who waits is answered at the end, and others meanwhile`() async throws {
        let bench = try ControlBench()
        let waiting = try bench.client()
        try waiting.send("{\"command\":\"reload\",\"wait\":true}\n{\"command\":\"config\"}\n")
        try await eventually("the reload") {
            bench.server.turn()
            return bench.supervisor.completions.count == 1
        }
        #expect(try await bench.ask(#"{"command":"config"}"#)["ok"] == .bool(true))
        waiting.receive()
        #expect(waiting.text.isEmpty)
        #expect(bench.server.nextDeadline.map { $0 > .now } ?? true)
        bench.supervisor.completions[0](.failed("worker 1 died before it was ready"))
        #expect(try await bench.answer(waiting)["error"] == .string("worker 1 died before it was ready"))
        #expect(try await bench.answer(waiting)["settings"] != nil)
        // A second call is a mistake of the supervisor that must not confuse the client.
        bench.supervisor.completions[0](.done("again"))
        bench.server.turn()
        waiting.receive()
        #expect(waiting.text.isEmpty)
    }

    @Test(arguments: [false, true])
    func `What is over at once does not swallow the next request`(_ hasEnded: Bool) async throws {
        let bench = try ControlBench()
        bench.supervisor.completesAtOnce = true
        let client = try bench.client()
        try client.send("{\"command\":\"reload\",\"wait\":true}\n{\"command\":\"config\"}\n")
        if hasEnded { try client.finish() }
        #expect(try await bench.answer(client)["message"] == .string("done"))
        #expect(try await bench.answer(client)["settings"] != nil)
        if hasEnded { try await bench.turnUntilClosed(client) }
    }

    @Test func `Who waits may go, and so may the server`() async throws {
        var bench: ControlBench? = try ControlBench()
        let supervisor = try #require(bench).supervisor
        do {
            let client = try #require(bench).client()
            try client.send("{\"command\":\"upgrade\",\"wait\":true}\n")
            try await eventually("the upgrade") {
                bench?.server.turn()
                return supervisor.completions.count == 1
            }
        }
        try await eventually("the client is forgotten") {
            bench?.server.turn()
            return bench?.server.clients == 0
        }
        supervisor.completions[0](.done("nobody hears it"))
        bench = nil
        supervisor.completions[0](.done("not even the server"))
    }

    @Test func `Requests that come together are answered in their order, also after the client's end`() async throws {
        let bench = try ControlBench()
        let client = try bench.client()
        try client.send("nonsense\n{\"command\":\"config\"}\n\n{\"command\":\"listeners\"}\n{\"comm")
        try client.finish()
        #expect(try await bench.answer(client)["error"]?.string?.unescaped.hasPrefix("no JSON") == true)
        #expect(try await bench.answer(client)["settings"] != nil)
        #expect(try await bench.answer(client)["ok"] == .bool(false))
        #expect(try await bench.answer(client)["listeners"] != nil)
        try await bench.turnUntilClosed(client)
        #expect(bench.server.clients == 0)
    }

    @Test func `A line that is too long is refused and its client closed`() async throws {
        let bench = try ControlBench()
        let client = try bench.client()
        var left = [UInt8](repeating: UInt8(ascii: "x"), count: ControlServer.lineLimit + 1000)
        var answer: JSONValue?
        try await eventually("a refusal") {
            if !left.isEmpty { left.removeFirst((try? client.send(left)) ?? left.count) }
            bench.server.turn()
            client.receive()
            answer = try client.line()
            return answer != nil
        }
        #expect(answer?["error"] == .string("a request is longer than 65536 bytes"))
        try await bench.turnUntilClosed(client)
    }

    @Test func `A request may come byte by byte`() async throws {
        let bench = try ControlBench()
        let client = try bench.client()
        for byte in "{\"command\":\"config\"}\n".utf8 {
            try client.send([byte])
            bench.server.turn()
        }
        #expect(try await bench.answer(client)["settings"] != nil)
    }

    @Test func `Silent clients, and those who take no answer, are closed in time`() async throws {
        let bench = try ControlBench(workers: 1000) {
            $0.patience = .seconds(3)
            $0.requestTime = .seconds(3)
        }
        let silent = try bench.client()
        let deaf = try bench.client()
        for _ in 0..<20 { try deaf.send("{\"command\":\"status\"}\n") }
        bench.server.turn()
        #expect(bench.server.clients == 2)
        #expect(try await bench.ask(#"{"command":"config"}"#)["ok"] == .bool(true))
        try await eventually("nobody is left") {
            bench.server.turn()
            return bench.server.clients == 0
        }
        silent.receive()
        #expect(silent.hasEnded)
        // Not one more status was made than the first that did not fit.
        deaf.receive()
        #expect(deaf.hasEnded)
        #expect(deaf.text.utf8.count { $0 == UInt8(ascii: "\n") } <= 2)
    }

    @Test func `A client too many is told so where all others wait for answers, and has room when one goes`() async throws {
        let bench = try ControlBench { $0.clients = 2 }
        let second = try bench.client()
        let wait = "{\"command\":\"reload\",\"wait\":true}\n"
        var first: TurnClient? = try bench.client()
        try first?.send(wait)
        try second.send(wait)
        try await eventually("both wait") {
            bench.server.turn()
            return bench.supervisor.completions.count == 2
        }
        #expect(bench.server.clients == 2)
        let third = try bench.client()
        try await bench.turnUntilClosed(third)
        #expect(third.text == "{\"ok\":false,\"error\":\"too many clients of the control socket\"}\n")
        #expect(first != nil)
        first = nil
        try await eventually("room") {
            bench.server.turn()
            return bench.server.clients == 1
        }
        #expect(try await bench.ask(#"{"command":"config"}"#)["ok"] == .bool(true))
        for completion in bench.supervisor.completions { completion(.done("")) }
        #expect(try await bench.answer(second)["ok"] == .bool(true))
    }

    @Test func `Clients give way by what they have sent, the oldest first`() async throws {
        let bench = try ControlBench {
            $0.clients = 4
            $0.freshTime = .zero
        }
        let regular = try bench.client()
        try regular.send("{\"command\":\"config\"}\n")
        _ = try await bench.answer(regular)
        let waiting = try bench.client()
        try waiting.send("{\"command\":\"reload\",\"wait\":true}\n")
        let partial = try bench.client()
        try partial.send("{")
        bench.server.turn()
        let silent = try bench.client()
        bench.server.turn()
        #expect(bench.server.clients == 4)
        // One after the other goes for those who come, who stay because they ask.
        var guests: [TurnClient] = []
        for leaving in [silent, partial, regular] {
            let guest = try bench.client()
            try guest.send("{\"command\":\"reload\",\"wait\":true}\n")
            guests.append(guest)
            try await bench.turnUntilClosed(leaving)
            #expect(bench.server.clients == 4)
        }
        try await eventually("all have been heard") {
            bench.server.turn()
            return bench.supervisor.completions.count == 4
        }
        for completion in bench.supervisor.completions { completion(.done("")) }
        for client in guests + [waiting] { #expect(try await bench.answer(client)["ok"] == .bool(true)) }
    }

    @Test func `In a crowd of half requests one that has just come has time to send its own`() async throws {
        let bench = try ControlBench {
            $0.clients = 4
            $0.freshTime = .seconds(3_600)
        }
        let crowd = try (0..<3).map { _ in try bench.client() }
        for client in crowd { try client.send("{") }
        bench.server.turn()
        let slow = try bench.client()
        bench.server.turn()
        #expect(bench.server.clients == 4)
        let next = try (0..<3).map { _ in try bench.client() }
        for client in next { try client.send("{") }
        for leaving in crowd { try await bench.turnUntilClosed(leaving) }
        try slow.send("{\"command\":\"config\"}\n")
        #expect(try await bench.answer(slow)["ok"] == .bool(true))
        #expect(next.allSatisfy { !$0.hasEnded })
    }

    @Test func `A request that has arrived is read before its client would give way`() async throws {
        let bench = try ControlBench { $0.clients = 8 }
        let asking = try (0..<8).map { _ in try bench.client() }
        bench.server.turn()
        #expect(bench.server.clients == 8)
        for client in asking { try client.send("{\"command\":\"config\"}\n") }
        let crowd = try (0..<8).map { _ in try bench.client() }
        for client in asking { #expect(try await bench.answer(client)["ok"] == .bool(true)) }
        _ = crowd
    }

    @Test func `Ten thousand clients, or as many as there are descriptors for, stall nobody who is in`() async throws {
        let limit = Int(try raiseDescriptorLimit(to: 40_000))
        let bench = try ControlBench()
        let inside = try bench.client()
        try inside.send("{\"command\":\"config\"}\n")
        _ = try await bench.answer(inside)
        var crowd: [TurnClient] = []
        // The server's accept queue is 128 long: a client who finds it full tries again later.
        for _ in 0..<min(10_000, (limit - 2_000) / 3) {
            if let client = try? bench.client() { crowd.append(client) }
            bench.server.turn()
        }
        #expect(crowd.count >= min(10_000, (limit - 2_000) / 3) - 100)
        #expect(bench.server.clients == ControlLimits().clients)
        try inside.send("{\"command\":\"config\"}\n")
        #expect(try await bench.answer(inside)["settings"] != nil)
        crowd = []
        try await eventually("the crowd has gone") {
            bench.server.turn()
            return bench.server.clients == 1
        }
        #expect(try await bench.ask(#"{"command":"config"}"#)["ok"] == .bool(true))
    }

    @Test func `Garbage is answered or closed, and never traps`() async throws {
        let bench = try ControlBench()
        var numbers = SplitMix64(seed: 22)
        let good = Array("{\"command\":\"scale\",\"by\":1,\"wait\":true}\n".utf8)
        for round in 0..<400 {
            let client = try bench.client()
            var bytes: [UInt8] = []
            for _ in 0..<20 {
                var line = good
                for _ in 0...numbers.below(5) {
                    line[numbers.below(line.count)] = UInt8(truncatingIfNeeded: numbers.next())
                }
                bytes += line
            }
            try client.send(bytes)
            for _ in 0..<3 { bench.server.turn() }
            // Half of the clients go in the middle.
            if round.isMultiple(of: 2) { client.receive() }
            for completion in bench.supervisor.completions { completion(.done("")) }
            bench.supervisor.completions = []
        }
        try await eventually("nobody is left") {
            bench.server.turn()
            for completion in bench.supervisor.completions { completion(.done("")) }
            bench.supervisor.completions = []
            return bench.server.clients == 0
        }
        #expect(try await bench.ask(#"{"command":"config"}"#)["ok"] == .bool(true))
    }

    @Test func `The socket is its owner's alone, and a second server is refused while the first lives`() throws {
        let bench = try ControlBench()
        let peer = try bench.client()
        #expect(try PeerCredentials(of: peer.socket.number).pid == CurrentProcess.pid)
        #expect(permissions(bench.path) == 0o600)
        #expect(throws: SystemError.self) { try ControlServer.bind(bench.path) }
    }

    @Test func `An idle server has no deadline and nothing to read`() throws {
        let bench = try ControlBench()
        bench.server.turn()
        #expect(bench.server.nextDeadline == nil)
        #expect(try !Polling.waitUntilReadable([bench.server.descriptor], until: .now))
        #expect(bench.server.descriptors.count == 2)
    }
}
