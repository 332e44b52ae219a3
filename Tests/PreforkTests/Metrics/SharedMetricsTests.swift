// Metrics of a pool over everything that ends its processes.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(4))) struct SharedMetricsTests {
    @Test func `All processes are added up, the killed ones included, and gauges are those of the living`() async throws {
        let server = try await MeteredProgram(["workers=2", "own=10", "managed=1"])
        try await eventually("the managed process has counted") { (try? server.requests) == 1_010 }
        for _ in 0..<20 { try server.order("inc") }
        #expect(try server.requests == 1_030)
        let pid = try server.order("gauge 5")
        #expect(try server.value("fixture_level") == 5 && server.value(#"fixture_live{process="ticker"}"#) == 7)
        for value in ["0.0005", "0.003", "100"] { try server.order("observe \(value)") }
        for name in ["fixture_late_total{label=\"a\"}", "fixture_late_total{label=\"b\"}"] {
            try server.order("late fixture_late \(name.contains("\"a\"") ? "a" : "b")")
            #expect(try server.value(name) == 1)
        }
        for worker in server.program.children where kill(worker, 0) == 0 { kill(worker, SIGKILL) }
        try await eventually("successors") {
            (try? server.value(#"prefork_workers{state="ready"}"#)) == 2 && !server.program.children.contains(pid)
        }
        #expect(try server.requests == 1_030)
        #expect(try server.value("fixture_level") == nil && server.value(#"fixture_live{process="ticker"}"#) == nil)
        #expect(try server.value("fixture_seconds_count") == 3 && server.value(#"fixture_seconds_bucket{le="0.004"}"#) == 2)
        #expect(try server.value("fixture_late_total{label=\"a\"}") == 1)
        #expect(try await server.end())
    }

    @Test func `Reloads and upgrades keep the sums, and another shape of a histogram begins anew`() async throws {
        let server = try await MeteredProgram(["workers=2"])
        for _ in 0..<10 { try server.order("inc") }
        try server.order("observe 0.003")
        try server.order("late fixture_late a")
        server.program.send(.hangUp)
        try await server.waitForLog("a reload") { $0.contains("generation 2 serves") }
        #expect(try server.requests == 10)
        for _ in 0..<10 { try server.order("inc") }
        for round in 3...4 {
            server.program.send(.user2)
            try await server.waitForLog("an upgrade") { $0.contains("generation \(round) serves") }
            #expect(try server.requests == 20)
            #expect(try server.value("fixture_late_total{label=\"a\"}") == 1 && server.value("fixture_seconds_count") == 1)
        }
        server.turnOn("other-buckets")
        server.program.send(.user2)
        try await server.waitForLog("an upgrade") { $0.contains("generation 5 serves") }
        #expect(try server.value("fixture_seconds_count") == 0 && server.requests == 20)
        #expect(try server.order("observe 3") > 0)
        #expect(try server.value(#"fixture_seconds_bucket{le="4.0"}"#) == 1)
        #expect(try await server.end())
    }

    @Test func `A rollback and a new image that dies lose and double nothing`() async throws {
        let server = try await MeteredProgram(
            ["workers=2"], environment: ["PREFORK_PROBATION": "60s", "SWIFT_BACKTRACE": "enable=no"])
        for _ in 0..<10 { try server.order("inc") }
        server.program.send(.user2)
        try await server.waitForLog("an upgrade") { $0.contains("took over 2 workers") }
        try await eventually("the new workers serve") {
            (try? server.value(#"prefork_workers{state="ready"}"#)) == 2
        }
        for _ in 0..<10 { try server.order("inc") }
        #expect(try server.requests == 20)
        // The new image dies, and the program before comes back.
        kill(server.program.pid, SIGSEGV)
        try await server.waitForLog("a rollback") { $0.contains("rolled back to the previous program") }
        try await eventually("the old program's page") { (try? server.requests) == 20 }
        for _ in 0..<10 { try server.order("inc") }
        #expect(try server.requests == 30)
        #expect(try await server.end())
    }

    /// The sums' file has mode 0400: only root opens it again by its name in /proc.
    @Test(.enabled(if: getuid() == 0))
    func `Sums outlive a stop, and a kill of the supervisor, in the service manager's store`() async throws {
        let manager = try ServiceManagerSocket()
        let environment = ["NOTIFY_SOCKET": manager.name]
        let first = try await MeteredProgram(["workers=2"], environment: environment)
        for _ in 0..<5 { try first.order("inc") }
        try first.order("late fixture_late a")
        try manager.takeStored()
        #expect(manager.stored.count == 2)
        #expect(try await first.end())
        let second = try await MeteredProgram(["workers=2"], environment: environment, preparation: manager.passing)
        #expect(try second.requests == 5 && second.value("fixture_late_total{label=\"a\"}") == 1)
        for _ in 0..<5 { try second.order("inc") }
        try manager.takeStored()
        second.program.send(.kill)
        _ = try await second.program.waitForExit()
        try await eventually("no worker is left") { second.program.groupSize == 0 }
        let third = try await MeteredProgram(["workers=2"], environment: environment, preparation: manager.passing)
        #expect(try third.requests == 10)
        // Another file under that name is no reason not to start.
        try manager.takeStored()
        #expect(try await third.end())
        for number in manager.stored.values {
            var garbage = [UInt8](repeating: 0xFF, count: 4_096)
            pwrite(number, &garbage, garbage.count, 0)
        }
        let fourth = try await MeteredProgram(["workers=2"], environment: environment, preparation: manager.passing)
        try fourth.order("inc")
        #expect(try fourth.requests == 1)
        #expect(try await fourth.end())
    }

    @Test func `A worker with threads counts rightly, and so does a program without a pool`() async throws {
        let server = try await MeteredProgram(["workers=1"])
        try server.order("threads")
        for _ in 0..<50 { try server.order("inc") }
        #expect(try server.requests == 50)
        #expect(try await server.end())
        let plain = try ChildProgram("metrics-fixture", ["plain"])
        #expect(try await plain.waitForExit() == 0)
        #expect(plain.output.contains("own 401000 400000"), "\(plain.output)")
    }

    @Test func `Series without number are bounded, and the log says so once`() async throws {
        let server = try await MeteredProgram(["workers=1"])
        try server.order("many 10100")
        try server.order("many 10100")
        try await eventually("all descriptions are read") { (try? server.value("fixture_many_total{n=\"9000\"}")) == 2 }
        #expect(try server.page().count < 10_300)
        #expect(try server.value("prefork_refused_series_total") ?? 0 >= 100)
        #expect(server.program.errors.split(separator: "\n").count { $0.contains("the rest is left out") } == 1)
        #expect(try await server.end())
    }

    @Test func `Every known series is there with zero from the start, and restarts count from there`() async throws {
        let server = try await MeteredProgram(["workers=1"])
        let page = try server.page()
        for cause in ["exit", "signal", "lost", "out_of_memory", "boot_timeout", "hung"] {
            #expect(page.contains("prefork_restarts_total{cause=\"\(cause)\"} 0"), "\(cause)")
        }
        #expect(page.contains("\(MeteredProgram.requestsName) 0") && page.contains("fixture_seconds_count 0"))
        kill(try server.order("pid"), SIGKILL)
        try await eventually("the restart") { (try? server.value(#"prefork_restarts_total{cause="signal"}"#)) == 1 }
        #expect(try await server.end())
    }

    @Test func `OpenMetrics is for those who ask for it`() async throws {
        let server = try await MeteredProgram(["workers=1"])
        try server.order("example 0.003 4bf92f35")
        let wish = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"
        let page = try server.page(accept: wish)
        let head = "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8"
        #expect(page.contains { $0.contains(head) })
        #expect(page.last == "# EOF" && page.contains("# TYPE prefork_restarts counter"))
        #expect(page.contains { $0.hasPrefix("fixture_requests_created{") })
        let example = #"fixture_seconds_bucket{le="0.004"} 1 # {trace_id="4bf92f35"} 0.003 "#
        #expect(page.contains { $0.hasPrefix(example) }, "\(page)")
        let plain = try server.page()
        #expect(plain.last != "# EOF" && !plain.contains { $0.contains("trace_id") })
        #expect(try await server.end())
    }

    @Test func `A worker has its own line mapped and no other`() async throws {
        let server = try await MeteredProgram(["workers=3"])
        for worker in server.program.children {
            let maps = try SmallFile.read("/proc/\(worker)/maps", limit: 1 << 20)
            let lines = maps.split(separator: "\n").filter { $0.contains("prefork-metric") }
            #expect(lines.count == 1, "\(lines)")
            for line in lines {
                let ends = line.prefix { $0 != " " }.split(separator: "-").map { UInt64($0, radix: 16) ?? 0 }
                #expect(ends[1] - ends[0] == UInt64(MetricLayout.byteCount))
            }
        }
        #expect(try await server.end())
    }
}
