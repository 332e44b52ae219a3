// Tables for people, of whatever a peer has said.

import PreforkSupervisor
import Testing

@testable import preforkctl

@Suite struct ControlTableTests {
    @Test(arguments: [1e300, -1e300, 1.8e20, .infinity, -.infinity, 9.3e18])
    func aNumberBeyondAllIntegersIsShown(_ number: Double) {
        let value = JSONValue.number(number)
        #expect(!ControlTable.time(value).isEmpty && !ControlTable.size(value).isEmpty)
        let names = ["uptime", "cpu", "rss", "pss", "requestRate", "cpuShare", "requests"]
        let worker = JSONValue.object(names.map { JSONValue.Member($0, value) })
        #expect(ControlTable.rows([worker], ControlColumn.workers).split(separator: "\n").count == 2)
    }

    @Test func figuresAreCutAfterTheFirstDigit() {
        #expect(ControlTable.time(.number(9.99)) == "9.9s" && ControlTable.time(.number(125)) == "2m5s")
        #expect(ControlTable.size(.number(1_600_000)) == "1.5M" && ControlTable.size(.number(3e8)) == "286M")
    }
}
