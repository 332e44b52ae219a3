// Tables for people, of whatever a peer has said.

import PreforkSupervisor
import Testing

@testable import preforkctl

@Suite struct ControlTableTests {
    @Test(arguments: [1e300, -1e300, 1.8e20, .infinity, -.infinity, 9.3e18])
    func aNumberBeyondAllIntegersIsShown(_ number: Double) {
        let value = JSONValue.number(number)
        #expect(!ControlTable.time(value).isEmpty && !ControlTable.size(value).isEmpty)
        let names = ["uptime", "cpu", "rss", "pss", "shared", "private", "requestRate", "cpuShare", "requests"]
        let worker = JSONValue.object(names.map { JSONValue.Member($0, value) })
        #expect(ControlTable.rows([worker], ControlColumn.workers).split(separator: "\n").count == 2)
    }

    @Test func queuesAndChannelsHaveRatesOfSending() throws {
        func status(_ uptime: Int, _ sent: Int) throws -> JSONValue {
            let text = """
                {"uptime":\(uptime),"workers":[],"queues":[{"name":"jobs","ready":1,"sent":\(sent)}],
                "channels":[{"name":"c","end":"peer","sent":\(2 * sent)},{"name":"c","end":"creator","sent":5}]}
                """
            return try JSONParser.parse(Array(text.utf8))
        }
        let text = ControlTable.status(try status(12, 50), before: try status(2, 10))
        let lines = text.split(separator: "\n")
        let jobs = try #require(lines.first { $0.hasPrefix("jobs") }).split(separator: " ")
        #expect(jobs.contains("4.0") && jobs.contains("50"))
        let peer = try #require(lines.first { $0.contains(" peer ") }).split(separator: " ")
        #expect(peer.suffix(2) == ["8.0", "100"])
        #expect(!text.contains("STORE"), "no table without a row")
        // A count that goes back, of memory that a process wrote over, is no rate.
        #expect(ControlTable.status(try status(12, 1), before: try status(2, 10)).contains("jobs"))
    }

    @Test func figuresAreCutAfterTheFirstDigit() {
        #expect(ControlTable.time(.number(9.99)) == "9.9s" && ControlTable.time(.number(125)) == "2m5s")
        #expect(ControlTable.size(.number(1_600_000)) == "1.5M" && ControlTable.size(.number(3e8)) == "286M")
    }
}
