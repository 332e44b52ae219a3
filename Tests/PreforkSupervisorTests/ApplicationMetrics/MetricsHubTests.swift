// Lines of processes, the sums of the dead, and the page of both.

import Glibc
import PreforkSystem
import Testing

@testable import PreforkSupervisor

/// A process's line as the process itself would write it.
private struct FakeProcess {
    let line: Int
    let pid: Int32
    let base: UnsafeMutableRawPointer
    private var nextWord: Int
    private var described = 0

    init(_ hub: MetricsHub, pid: Int32, name: String = "worker 0") throws {
        line = try #require(hub.takeLine(for: name))
        self.pid = pid
        hub.began(line, pid: pid)
        base = hub.lines.base(line)
        // What the test's own process knows: other tests make series meanwhile.
        let record = hub.sums.line(line)
        nextWord = (0..<record.known).reduce(MetricLayout.firstWord) {
            $0 + hub.sums.layout(record.layout + $1).words
        }
    }

    /// Describes a series, as a process does after its fork.
    mutating func make(_ series: MetricDescription) -> Int {
        write(series.bytes)
        defer { nextWord += series.kind.words }
        return nextWord
    }

    mutating func write(_ bytes: [UInt8]) {
        (base + MetricLayout.descriptionsStart + described).copyMemory(from: bytes, byteCount: bytes.count)
        described += bytes.count
        set(UInt64(described), MetricLayout.descriptionsLength / 8)
    }

    func set(_ value: UInt64, _ word: Int) { base.storeBytes(of: value, toByteOffset: word * 8, as: UInt64.self) }
}

@Suite(.timeLimit(.minutes(2)), .serialized) struct MetricsHubTests {
    private func hub() throws -> MetricsHub {
        try MetricsHub((MetricLines(), MetricSums(), MetricTable()), countsItself: false)
    }

    /// The same memory, as the next image of the program takes it.
    private func next(after hub: MetricsHub) throws -> MetricsHub {
        let lines = try MetricLines(inherited: try duplicate(hub.lines.file.descriptor.number))
        let sums = try MetricSums(inherited: try duplicate(hub.sums.file.descriptor.number))
        return try MetricsHub((lines, sums, try #require(MetricTable(sums))), countsItself: false)
    }

    private func page(_ hub: MetricsHub, _ format: MetricFormat = .prometheus) -> [String] {
        var text: [UInt8] = []
        hub.writePage(format, to: &text)
        return String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    private func value(_ name: String, _ hub: MetricsHub) -> String? {
        page(hub).first { $0.hasPrefix("\(name) ") }.map { String($0.dropFirst(name.count + 1)) }
    }

    private let orders = try! MetricDescription(.counter, "orders", help: "Orders", labels: ["c": "d\"e"])
    private let time = try! MetricDescription(
        .histogram(.exponential(from: 1, factor: 2, count: 2)), "time", help: "a\\b\nc", labels: [:])

    @Test func `What a process has counted is on the page while it lives and after its death`() throws {
        let hub = try hub()
        var (first, second) = (try FakeProcess(hub, pid: 90_001), try FakeProcess(hub, pid: 90_002))
        first.set(5, first.make(orders))
        let word = second.make(time)
        second.set(7, second.make(orders))
        second.set((4.5).bitPattern, word)
        for index in 1...3 { second.set(UInt64(index), word + index) }
        let living = page(hub)
        #expect(living.contains(#"orders_total{c="d\"e"} 12"#))
        for line in [
            "# HELP time a\\\\b\\nc", "# TYPE time histogram", #"time_bucket{le="1.0"} 1"#, #"time_bucket{le="2.0"} 3"#,
            #"time_bucket{le="+Inf"} 6"#, "time_sum 4.5", "time_count 6",
        ] { #expect(living.contains(line), "\(line)\n\(living)") }
        hub.ended(first.pid)
        #expect(page(hub) == living)
        hub.ended(second.pid)
        hub.ended(second.pid)
        #expect(page(hub) == living)
        // The line is a fresh one for its next process.
        let third = try FakeProcess(hub, pid: 90_003)
        #expect(third.line == first.line && page(hub) == living)
    }

    @Test func `The next image continues, and adds the share of a process that died meanwhile`() throws {
        let before = try hub()
        var process = try FakeProcess(before, pid: 90_011)
        process.set(9, process.make(orders))
        let known = page(before)
        // No child of the test's process has that number: it is gone for the next image.
        let after = try next(after: before)
        #expect(page(after) == known)
        #expect(page(try next(after: after)) == known)
    }

    @Test func `A supervisor that was killed while it added a share adds it once`() throws {
        for step in 0...3 {
            let before = try hub()
            var process = try FakeProcess(before, pid: 90_021)
            let word = process.make(orders)
            process.set(11, word)
            _ = page(before)
            let index = try #require(before.table.entries.first { $0.description.name == "orders_total" }).value
            // As if killed: with the journal written, with sums written, with the line cleared.
            switch step {
            case 0: break
            case 1: before.sums.beginCommit([(index, 11)], line: process.line)
            case 2:
                before.sums.beginCommit([(index, 11)], line: process.line)
                before.sums.setValue(11, index)
            default:
                before.sums.beginCommit([(index, 11)], line: process.line)
                before.sums.setValue(11, index)
                before.lines.clear(process.line)
            }
            #expect(value(#"orders_total{c="d\"e"}"#, try next(after: before)) == "11", "step \(step)")
        }
    }

    @Test func `Gauges are those of the living`() throws {
        let hub = try hub()
        var processes = try (0..<3).map { try FakeProcess(hub, pid: 90_031 + Int32($0), name: "worker \($0)") }
        let kinds: [(SharedGauge.Aggregation, String)] = [(.sum, "g_sum"), (.max, "g_max"), (.last, "g_last"), (.live, "g_live")]
        for (kind, name) in kinds {
            let series = try MetricDescription(.gauge(kind), name, help: "", labels: [:])
            for index in processes.indices {
                let word = processes[index].make(series)
                processes[index].set(Double([3, -8, 4][index]).bitPattern, word)
                processes[index].set([20, 30, 10][index], word + 1)
            }
        }
        #expect(value("g_sum", hub) == "-1.0" && value("g_max", hub) == "4.0" && value("g_last", hub) == "-8.0")
        #expect(value(#"g_live{process="worker 2"}"#, hub) == "4.0")
        hub.ended(90_033)
        #expect(value("g_sum", hub) == "-5.0" && value("g_max", hub) == "3.0")
        #expect(value(#"g_live{process="worker 2"}"#, hub) == nil)
        for pid in [Int32(90_031), 90_032] { hub.ended(pid) }
        #expect(value("g_sum", hub) == nil)
    }

    @Test func `What a process describes wrongly is left out, and its siblings are counted`() throws {
        let hub = try hub()
        var told: [String] = []
        hub.tell = { told.append($0.text) }
        var (good, bad) = (try FakeProcess(hub, pid: 90_041), try FakeProcess(hub, pid: 90_042))
        good.set(1, good.make(orders))
        _ = page(hub)
        let forged = try MetricDescription(.counter, "prefork_requests_total", "", [])
        let clash = try MetricDescription(.gauge(.sum), "orders_total", help: "", labels: [:])
        for series in [forged, clash] { bad.set(100, bad.make(series)) }
        bad.set(2, bad.make(orders))
        bad.write([5, 0, 0, 0, 9, 9, 9, 9, 9])
        bad.set(UInt64.max, bad.make(orders))
        let lines = page(hub)
        #expect(lines.contains(#"orders_total{c="d\"e"} 3"#) && !lines.contains { $0.hasPrefix("prefork_requests") })
        #expect(told.count == 1)
        bad.set(.max, MetricLayout.descriptionsLength / 8)
        #expect(page(hub).contains(#"orders_total{c="d\"e"} 3"#))
        hub.ended(bad.pid)
        #expect(page(hub).contains(#"orders_total{c="d\"e"} 3"#))
    }

    @Test func `Any words on a line do not trap`() throws {
        let hub = try hub()
        var random = SplitMix64(seed: 5)
        for round in 0..<50 {
            var process = try FakeProcess(hub, pid: 91_000 + Int32(round))
            _ = process.make(orders)
            _ = process.make(time)
            for _ in 0..<200 {
                process.set(random.next(), Int(random.next() % UInt64(MetricLayout.byteCount / 8)))
            }
            if round % 2 == 0 { process.set(random.next() % 5_000, MetricLayout.descriptionsLength / 8) }
            _ = page(hub)
            hub.ended(process.pid)
        }
        #expect(page(hub).count > 3)
    }

    @Test func `More than ten thousand samples are counted, and told once`() throws {
        let hub = try hub()
        var told = 0
        hub.tell = { _ in told += 1 }
        var processes = try (0..<2).map { try FakeProcess(hub, pid: 90_051 + Int32($0)) }
        for number in 0..<10_500 {
            let series = try MetricDescription(.counter, "many", help: "", labels: ["n": "\(number)"])
            let index = number % 2
            processes[index].set(1, processes[index].make(series))
        }
        // A page reads a part of what is new.
        var lines = page(hub)
        while case let more = page(hub), more.count > lines.count { lines = more }
        #expect(lines.count <= MetricLayout.mostSamples + 20 && lines.count > 9_000)
        for process in processes { hub.ended(process.pid) }
        let refused = try #require(value("prefork_refused_series_total", hub).flatMap { Int($0) })
        #expect(refused >= 500 && told == 1)
    }

    @Test func `Files of another form are not taken`() throws {
        let file = try MemoryFile(name: "other", byteCount: 4_096)
        #expect(throws: SystemError.self) { try MetricSums(inherited: try duplicate(file.descriptor.number)) }
        #expect(throws: SystemError.self) { try MetricLines(inherited: try duplicate(file.descriptor.number)) }
    }

    /// As the service manager's store gives them to the next start, where another process may have written them.
    @Test func `Any content of the files is taken or refused, and does not trap`() throws {
        var random = SplitMix64(seed: 11)
        var taken = 0
        for round in 0..<60 {
            let before = try hub()
            var process = try FakeProcess(before, pid: 92_000 + Int32(round))
            process.set(9, process.make(orders))
            process.set(3, process.make(time) + 1)
            _ = page(before)
            let used = 6_033_408 + before.sums.entryBytes
            for _ in 0..<(1 + random.next() % 30) {
                // The head, the first lines, sums, the journal, layouts, series.
                let starts: [UInt64] = [8, 4_096, 1_052_672, 1_314_816, 1_839_104, 6_033_408]
                let place = min(Int(starts[Int(random.next() % 6)] + random.next() % 120), used)
                var word = random.next() % 3 == 0 ? random.next() : random.next() % 600
                pwrite(before.sums.file.descriptor.number, &word, 8, off_t(place))
            }
            guard let table = MetricTable(before.sums) else { continue }
            let lines = try MetricLines(inherited: try duplicate(before.lines.file.descriptor.number))
            let sums = try MetricSums(inherited: try duplicate(before.sums.file.descriptor.number))
            let after = try MetricsHub((lines, sums, table), countsItself: false)
            _ = page(after)
            taken += 1
        }
        #expect(taken > 0)
    }

    @Test func `OpenMetrics has names without endings, and the times at which series began`() throws {
        let hub = try hub()
        var process = try FakeProcess(hub, pid: 90_061)
        process.set(5, process.make(orders))
        let lines = page(hub, .openMetrics)
        #expect(lines.contains("# TYPE orders counter") && lines.contains(#"orders_total{c="d\"e"} 5"#))
        #expect(lines.contains { $0.hasPrefix(#"orders_created{c="d\"e"} 1"#) })
    }
}
