// What a request mark costs in a worker: nanoseconds for begin and end together, on the loop and off it.
//
// usage: request-measurement [ROUNDS]   (100 by default; the median counts)
//
// Each line is a name and a figure. The empty loop is taken off: it is what the measurement itself costs.

import Glibc
import Prefork

let rounds = max(CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 100, 1)
let count = 20_000

func nanoseconds() -> Int {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// Keeps the optimiser from leaving out a loop.
@inline(never)
func keep(_ number: Int) { if number == .min { print(number) } }

/// The median of `rounds` rounds, each of `count` calls, for one call.
@inline(__always)
func median(_ body: (Int) -> Void) -> Double {
    var times: [Double] = []
    for _ in 0..<rounds {
        let begin = nanoseconds()
        for number in 0..<count {
            keep(number)
            body(number)
        }
        times.append(Double(nanoseconds() - begin) / Double(count))
    }
    return times.sorted()[rounds / 2]
}

func tell(_ name: String, _ figure: Double) { print("\(name)\t\(Double(Int(figure * 100)) / 100)") }

/// - Parameter place: where it is measured.
func measure(_ worker: Worker, _ place: String) {
    let empty = median { _ in }
    let short = "/reports"
    let long: String = "/reports/" + String(repeating: "long-", count: 22)
    let part = "GET /reports/2026?token=secret HTTP/1.1".split(separator: " ")[1]
    func begin(_ label: some RequestLabel) { if let mark = try? worker.beginRequest(label) { mark.end() } }
    tell("begin and end \(place), a string of 8 bytes", median { _ in begin(short) } - empty)
    tell("begin and end \(place), a string of 119 bytes", median { _ in begin(long) } - empty)
    tell("begin and end \(place), a part of a string with a query", median { _ in begin(part) } - empty)
    let bytes = Array("/reports".utf8)
    bytes.withUnsafeBytes { bytes in
        tell("begin and end \(place), 8 bytes of UTF-8", median { _ in begin(bytes) } - empty)
    }
    let trace = TraceID(high: 1, low: 2)
    tell(
        "begin and end \(place), with a trace",
        median { _ in if let mark = try? worker.beginRequest(short, trace: trace) { mark.end() } } - empty)
    tell("request { } \(place)", median { _ in try? worker.request(short) {} } - empty)
}

let summary = try ForkRuntime(workers: .count(1)).run { worker in
    measure(worker, "on a loop")
    // A thread of its own, as NIO's are. It has the processor alone: the loop waits for it.
    await withCheckedContinuation { continuation in
        final class Start { let run: () -> Void; init(_ run: @escaping () -> Void) { self.run = run } }
        let start = Unmanaged.passRetained(
            Start {
                measure(worker, "off a loop")
                continuation.resume()
            })
        var thread = pthread_t()
        pthread_create(
            &thread, nil,
            { context in
                Unmanaged<Start>.fromOpaque(context!).takeRetainedValue().run()
                return nil
            }, start.toOpaque())
    }
    fflush(nil)
}
exit(summary.outcome.exitCode)
