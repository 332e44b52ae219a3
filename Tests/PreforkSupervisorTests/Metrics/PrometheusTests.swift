// Counters, histograms and their text.

import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkSupervisor

@Suite(.timeLimit(.minutes(2)))
struct PrometheusTests {
    @Test func `A duration falls into the first range that holds it`() {
        var histogram = DurationHistogram()
        for duration in [
            Duration.zero, .milliseconds(1), .microseconds(1001), .seconds(60), .seconds(61), .seconds(-1),
        ] {
            histogram.add(duration)
        }
        #expect(histogram.counts.first == 3)
        #expect(histogram.counts[1] == 1)
        #expect(histogram.counts.suffix(2) == [1, 1])
        #expect(histogram.counts.reduce(0, +) == 6)
        #expect(histogram.sum == .seconds(121) + .microseconds(2001))
    }

    @Test func `Absurd durations do not trap`() {
        var histogram = DurationHistogram()
        for _ in 0..<1000 { histogram.add(.seconds(Int64.max)) }
        #expect(histogram.counts.reduce(0, +) == 1000)
    }

    @Test func `Restarts are counted by what ended the worker`() {
        var counters = PoolCounters()
        func exit(_ status: PreforkSystem.ExitStatus, kill: KillReason? = nil, memory: Bool = false, again: Bool = true)
        {
            let consequence: ExitConsequence = again ? .restart(in: .zero, number: 1) : .none
            counters.recordExit(
                ExitReport(
                    slot: 0, pid: 1, status: status, killReason: kill, outOfMemory: memory, consequence: consequence),
                requests: 10)
        }
        let killed = PreforkSystem.ExitStatus.signaled(.kill, coreDumped: false)
        exit(.exited(code: 1))
        exit(.exited(code: 0), again: false)
        exit(killed)
        exit(killed, kill: .bootTimeout)
        exit(killed, memory: true)
        exit(.lost)
        #expect(counters.restarts == ["exit": 1, "signal": 1, "boot_timeout": 1, "out_of_memory": 1, "lost": 1])
        #expect(counters.retiredRequests == 60)
    }

    private func text(_ change: (inout PoolStatus, inout PoolCounters) -> Void) -> [Substring] {
        var status = PoolStatus(
            supervisor: 1,
            workers: [
                WorkerStatus(slot: 0, pid: 10, state: .ready, uptime: .seconds(4), requests: 5, connections: 2),
                WorkerStatus(slot: 1, pid: nil, state: .backingOff),
            ], target: 2)
        var counters = PoolCounters()
        change(&status, &counters)
        let listeners = [ListenerStatus(address: "unix:/a\"b\\c\nd", waiting: 3, limit: 128)]
        let usage: WorkerUsage = [10: ProcessUsage(resident: 4096, processorTime: .milliseconds(20))]
        let target = TargetStatus(
            name: "mailer", phase: .running, isCompleted: false, generation: 3, restarts: 2, ignoredCodes: 0)
        let task = OnceStatus(
            name: "clean", schedule: "@daily", state: .idle, nextDue: 0, nextIn: .zero, dueTimes: 1, waiting: 0,
            counters: OnceCounters())
        let bytes = PrometheusText.metrics(
            status, counters, listeners, usage, quarantined: 2, managed: [target], tasks: [task], shared: madeUpObjects)
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    }

    @Test func `The text has a sample for each figure`() {
        let lines = text { _, counters in
            counters.recordBoot(after: .milliseconds(3))
            counters.recordExit(
                ExitReport(slot: 1, pid: 9, status: .exited(code: 2), consequence: .restart(in: .zero, number: 1)),
                requests: 100)
        }
        for line in [
            #"prefork_workers{state="ready"} 1"#, #"prefork_workers{state="backingOff"} 1"#,
            #"prefork_workers{state="failed"} 0"#, #"prefork_restarts_total{cause="exit"} 1"#,
            "prefork_requests_total 105", "prefork_busy_ratio 0.005", #"prefork_boot_seconds_bucket{le="0.0025"} 0"#,
            #"prefork_boot_seconds_bucket{le="0.005"} 1"#, #"prefork_boot_seconds_bucket{le="+Inf"} 1"#,
            "prefork_boot_seconds_count 1", "prefork_boot_seconds_sum 0.003",
            #"prefork_listener_backlog{listener="unix:/a\"b\\c\nd"} 3"#,
            #"prefork_worker_resident_bytes{slot="0",pid="10"} 4096"#,
            #"prefork_worker_cpu_seconds_total{slot="0",pid="10"} 0.02"#,
        ] {
            #expect(lines.contains(line[...]), "\(line)")
        }
    }

    @Test func `Crashes, slow and refused requests and lost output are counted, without a label of requests`() {
        let lines = text { _, counters in
            counters.crashedWorkers = 3
            counters.crashedManagedProcesses = 1
            counters.slowRequests = 4
            counters.loopStalls = 7
            counters.quarantinedLabels = 5
            counters.refusedRequests = .max
            counters.recordLostOutput(OutputLines.Lost(bytes: 1000, lines: 7))
        }
        for line in [
            #"prefork_crashes_total{process="worker"} 3"#, #"prefork_crashes_total{process="managed"} 1"#,
            "prefork_slow_requests_total 4", "prefork_loop_stalls_total 7", "prefork_quarantines_total 5", "prefork_quarantined_labels 2",
            "prefork_refused_requests_total \(UInt64.max)", "prefork_lost_output_bytes_total 1000",
            "prefork_lost_output_lines_total 7",
        ] {
            #expect(lines.contains(line[...]), "\(line)")
        }
    }

    @Test func `How long requests took is there from the start, and in seconds`() {
        let name = "prefork_http_request_duration_seconds"
        #expect(text { _, _ in }.contains("\(name)_count 0"))
        let lines = text { _, counters in
            for nanoseconds: UInt64 in [0, 16_000, 16_001, 1_000_000_000, 1 << 40] {
                counters.requestDurations.add(nanoseconds)
            }
        }
        for line in [
            #"_bucket{le="1.6e-05"} 2"#, #"_bucket{le="3.2e-05"} 3"#, #"_bucket{le="0.524288"} 3"#,
            #"_bucket{le="1.048576"} 4"#, #"_bucket{le="67.108864"} 4"#, #"_bucket{le="+Inf"} 5"#,
            "_sum \(Double(16_000 + 16_001 + 1_000_000_000 + 1 << 40) / 1e9)", "_count 5",
        ] {
            #expect(lines.contains("\(name)\(line)"), "\(line)")
        }
    }

    @Test func `The manual's table has every metric with its type and its labels`() throws {
        var types: [String: String] = [:]
        var labels: [String: Set<String>] = [:]
        let lines = text { status, counters in
            status.workers[0].heartbeatAge = .seconds(1)
            counters.restarts["exit"] = 1
        }
        // What children count in shared metrics is on the program's part of the page.
        var shared: [UInt8] = []
        try MetricsHub().writePage(.prometheus, to: &shared)
        let own = String(decoding: shared, as: UTF8.self).split(separator: "\n").filter { $0.contains("prefork_") }
        for line in lines + own {
            let words = line.split(separator: " ")
            let name = String(words[0].prefix { $0 != "{" })
            if line.hasPrefix("# TYPE ") {
                types[String(words[2])] = String(words[3])
            } else {
                labels[name, default: []].formUnion(line.matches(of: /[{,]([a-z]+)="/).map { String($0.output.1) })
            }
        }
        let page = try SmallFile.read(
            "\(packageRoot)/Sources/Prefork/Documentation.docc/OperatingWithPreforkctl.md", limit: 1 << 20)
        let rows = page.split(separator: "\n").filter { $0.hasPrefix("| `prefork_") }
        #expect(rows.count == types.count)
        for row in rows {
            let cells = row.split(separator: "|").map { cell in cell.filter { $0 != " " && $0 != "`" } }
            #expect(cells[1] == types[cells[0]], "\(row)")
            let named = Set(cells[2].split(separator: ",").map(String.init))
            #expect(named == labels[cells[0]] ?? [], "\(row)")
        }
    }

    @Test func `Every sample belongs to the family that was announced before it, and no family comes twice`() {
        var family: Substring = ""
        var seen: Set<Substring> = []
        for line in text({ _, _ in }) {
            if line.hasPrefix("# TYPE ") {
                family = line.split(separator: " ")[2]
                #expect(seen.insert(family).inserted)
            } else if !line.hasPrefix("#") {
                #expect(line.hasPrefix(family))
                #expect(Double(line.split(separator: " ").last ?? "") != nil)
            }
        }
    }

    @Test func `Stray words of workers do not trap`() {
        let lines = text { status, counters in
            status.workers = (0..<3).map {
                WorkerStatus(slot: $0, pid: Int32(10 + $0), state: .ready, requests: .max, connections: .max)
            }
        }
        #expect(lines.contains { $0.hasPrefix("prefork_connections ") })
    }

    @Test func `Workers that nothing is known of are not counted as idle`() {
        let lines = text { status, _ in
            status.workers.append(WorkerStatus(slot: 2, pid: 11, state: .ready, uptime: .seconds(1000)))
        }
        #expect(lines.contains("prefork_busy_ratio 0.005"))
    }

    @Test func `Managed processes, stores, queues and channels have samples`() {
        let lines = text { _, _ in }
        for line in [
            #"prefork_managed_up{process="mailer"} 1"#, #"prefork_managed_restarts_total{process="mailer"} 2"#,
            #"prefork_store_entries{store="sessions"} 3"#, #"prefork_store_evictions_total{store="sessions"} 7"#,
            #"prefork_queue_messages_ready{queue="jobs"} 4"#, #"prefork_queue_dead_letters{queue="jobs"} 2"#,
            #"prefork_queue_damages_total{queue="jobs"} 0"#,
            #"prefork_channel_waiting{channel="a\"b",end="creator"} 1"#,
            #"prefork_channel_open{channel="a\"b",end="peer"} 0"#, #"prefork_channel_corrupt{channel="a\"b"} 0"#,
        ] { #expect(lines.contains(line[...]), "\(line)") }
        // One head for each name, in front of all its samples.
        let heads = lines.filter { $0.hasPrefix("# TYPE ") }
        #expect(Set(heads).count == heads.count)
    }
}
