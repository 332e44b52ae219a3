// How much of a table that was loaded before the fork becomes private when every worker has read it, as a line of JSON.
//
// usage: memory-measurement FORM [ENTRIES [WORKERS]]   (1,000,000 entries, 8 workers by default)
//
// FORM is one of: dictionary ([String: String]), frozen (the same, frozen), trivial ([UInt64: UInt64]) and store (a
// SharedStore). Each worker looks every entry up once, and reads its figures. All live until the last one has done so.

import Glibc
import Prefork

let arguments = CommandLine.arguments.dropFirst()
let count = arguments.dropFirst().first.flatMap { Int($0) } ?? 1_000_000
let workers = arguments.dropFirst(2).first.flatMap { Int($0) } ?? 8
guard let form = arguments.first.flatMap({ Form(rawValue: $0) }) else {
    print("usage: memory-measurement dictionary|frozen|trivial|store [ENTRIES [WORKERS]]")
    exit(64)
}

var runtime = ForkRuntime(workers: .count(workers), maxRestarts: 0)
runtime.log = { _ in }
runtime.readiness = .manual
runtime.bootTimeout = .seconds(300)
let (freezing, look) = try table(form, of: count, by: runtime)
var ends: [Int32] = [0, 0]
guard pipe(&ends) == 0 else { exit(71) }
runtime.hooks.onAllReady = { _ = kill(getpid(), SIGTERM) }
let end = ends[1]
let entries = Double(count)
let summary = try runtime.run { [look, end, entries] worker in
    let before = privateMemory()
    let begin = milliseconds()
    let found = try look()
    let time = milliseconds() - begin
    let report = [Double(privateMemory() - before), time * 1e6 / entries]
    guard Double(found) == entries, write(end, report, 16) == 16 else { exit(70) }
    worker.ready()
    try await worker.stopRequested.wait()
}
guard summary.outcome.exitCode == 0 else { exit(summary.outcome.exitCode) }
var total = 0.0
var times: [Double] = []
for _ in 0..<workers {
    var report = [0.0, 0.0]
    guard read(ends[0], &report, 16) == 16 else { exit(70) }
    // Less than before where a page of the program has become shared meanwhile.
    total += max(0, report[0]) / 1024
    times.append(report[1])
}
let time = times.sorted()[times.count / 2]
print("{\"private\": \(total), \"lookup\": \(time), \"freezing\": \(freezing)}")
