// Workers that count what they are told to, a line for each order.

import Glibc
import Prefork
import PreforkFixtureSupport
import StepsC

/// The series of the program itself, made before the fork.
struct Series: Sendable {
    let requests: SharedCounter
    let time: SharedHistogram
    let level: SharedGauge
    let live: SharedGauge

    /// - Parameter start: of the histogram's buckets, which another version of the program may change.
    init(start: Double) throws {
        requests = try SharedCounter("fixture_requests_total", help: "Orders \"inc\"\nin all workers", labels: ["a": "x\"y\\z"])
        time = try SharedHistogram(
            "fixture_seconds", .exponential(from: start, factor: 2, count: 8), help: "Orders \"observe\"")
        level = try SharedGauge("fixture_level", .sum, help: "Orders \"gauge\"")
        live = try SharedGauge("fixture_live", .live, help: "Orders \"gauge\" by process")
    }
}

/// Serves lines: `inc`, `observe SECONDS`, `example SECONDS TRACE`, `gauge VALUE`, `late NAME LABEL`, `threads` (starts one), `pid`. Each is
/// answered by the worker's process ID, after it has counted.
///
/// Settings: `workers`, `counters` (a file: words 2n and 2n + 1 of worker n get one before and after each `inc`),
/// `start` (of the buckets), `managed`, `crash-in` (a new image that ends after so many milliseconds).
func serveScenario(_ arguments: [String]) throws {
    let settings = Settings(arguments)
    let switches = Switches(folder: settings["switches"] ?? "/nonexistent")
    let start = switches.isOn("other-buckets") ? 0.5 : 0.001
    let series = try Series(start: start)
    // The supervisor's own share.
    series.requests.increment(by: settings.number("own") ?? 0)
    let counters = settings["counters"].flatMap { fixture_map_counters($0) }
    let words = Words(words: counters)
    let listener = try Listener(.tcp("127.0.0.1", UInt16(settings.number("port") ?? 0)), backlog: 1024)
    var runtime = ForkRuntime(workers: .count(settings.number("workers") ?? 2))
    runtime.restarts.limit = 1 << 20
    runtime.restarts.bootLimit = 1 << 20
    runtime.restarts.backoff.maximum = .zero
    if settings["managed"] != nil {
        try runtime.manager.addTarget("ticker") { child in
            series.requests.increment(by: 1_000)
            series.live.set(7)
            try await child.stopRequested.wait()
            return 0
        }
    }
    say("port \(listener.address) pid \(getpid())")
    let summary = try runtime.run { worker in
        if switches.isOn("crash-worker") { worker.exit(code: 9) }
        try await listener.serve { connection in
            while let line = try await nextLine(connection) {
                try obey(line, series, worker.taskID, words)
                try await connection.writer.write("\(getpid())\n")
            }
        }
    }
    say("outcome \(summary.outcome)")
    exit(summary.outcome.exitCode)
}

private struct Words: @unchecked Sendable {
    // Sendable: an address that never changes. C counts there by atomic steps.
    let words: UnsafeMutablePointer<UInt64>?
}

private func nextLine(_ connection: Connection) async throws -> [Substring]? {
    guard try await connection.reader.waitForMessage() else { return nil }
    let line = try await connection.reader.read(until: "\n", limit: 4096)
    return String(decoding: line, as: UTF8.self).split(whereSeparator: { $0 == " " || $0 == "\n" })
}

private func obey(_ line: [Substring], _ series: Series, _ taskID: Int, _ words: Words) throws {
    let words = words.words
    switch line.first {
    case "inc":
        if let words { fixture_count(words, Int32(taskID * 2)) }
        series.requests.increment()
        if let words { fixture_count(words, Int32(taskID * 2 + 1)) }
    case "observe": series.time.observe(Double(line.last ?? "") ?? .nan)
    case "example": series.time.observe(Double(line[1]) ?? .nan, exemplar: ["trace_id": String(line[2])])
    case "gauge":
        let value = Double(line.last ?? "") ?? .nan
        series.level.set(value)
        series.live.set(value)
    case "late": try SharedCounter(String(line[1]), labels: ["label": String(line[2])]).increment()
    case "many":
        for number in 0..<(Int(line.last ?? "") ?? 0) {
            try SharedCounter("fixture_many", labels: ["n": "\(number)"]).increment()
        }
    case "threads":
        var thread = pthread_t()
        pthread_create(&thread, nil, { _ in while true { pause() } }, nil)
    default: break
    }
}

/// A program without a pool: metrics work in its own memory. Four threads count at once.
func plainScenario(_ arguments: [String]) throws {
    let series = try Series(start: 0.001)
    for _ in 0..<1_000 { series.requests.increment() }
    var threads: [pthread_t] = []
    let box = Unmanaged.passRetained(Box(series)).toOpaque()
    for _ in 0..<4 {
        var thread = pthread_t()
        pthread_create(
            &thread, nil,
            { box in
                let series = Unmanaged<Box>.fromOpaque(box!).takeUnretainedValue().series
                for _ in 0..<100_000 {
                    series.requests.increment()
                    series.time.observe(0.002)
                }
                return nil
            }, box)
        threads.append(thread)
    }
    for thread in threads { pthread_join(thread, nil) }
    say("own \(series.requests.ownValue) \(series.time.ownCount)")
}

private final class Box: Sendable {
    let series: Series

    init(_ series: Series) { self.series = series }
}
