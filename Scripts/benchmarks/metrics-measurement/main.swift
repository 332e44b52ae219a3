// What shared metrics cost: nanoseconds for an increment and an observation, and the page of many processes.
//
// usage: metrics-measurement [ROUNDS [PROCESSES [SERIES]]]   (100 rounds, 1,000 processes, 500 series by default)
//
// Each line is a name and a figure. The empty loop is taken off: it is what the measurement itself costs. Each process is
// forked as a worker is, counts in each series once, and ends. It is not collected, so that its line is one of the living.

import Glibc
import Prefork
import PreforkSupervisor
import PreforkSystem

let arguments = CommandLine.arguments.dropFirst().compactMap { Int($0) }
let rounds = max(arguments.first ?? 100, 1)
let processes = arguments.dropFirst().first ?? 1_000
let seriesCount = arguments.dropFirst(2).first ?? 500
let count = 20_000

func nanoseconds(_ clock: clockid_t = CLOCK_MONOTONIC) -> Int {
    var now = timespec()
    clock_gettime(clock, &now)
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

func measure(_ place: String) throws {
    let counter = try SharedCounter("measured", labels: ["label": "value"])
    let histogram = try SharedHistogram("measured_seconds", .seconds)
    let gauge = try SharedGauge("measured_gauge", .sum)
    var values: [Double] = []
    var random = SplitMix64(seed: 1)
    for _ in 0..<1_024 { values.append(0.000_05 * Double(1 + random.next() % 4_096)) }
    let empty = median { _ in }
    tell("increment, \(place)", median { _ in counter.increment() } - empty)
    values.withUnsafeBufferPointer { values in
        let load = median { keep(Int(values[$0 & 1_023])) }
        tell("observe, \(place)", median {
            let value = values[$0 & 1_023]
            keep(Int(value))
            histogram.observe(value)
        } - load)
    }
    tell("set a gauge, \(place)", median { gauge.set(Double($0)) } - empty)
}

/// In a function, because a closure of the main file belongs to the main actor.
func startThread() {
    var thread = pthread_t()
    pthread_create(&thread, nil, { _ in while true { pause() } }, nil)
}

func measurePages() throws {
    let hub = try MetricsHub()
    for number in 0..<seriesCount { _ = try SharedCounter("page_requests", labels: ["route": "/r/\(number)"]) }
    for _ in 0..<processes {
        guard let line = hub.takeLine(for: "worker 0") else { fatalError("no line is free") }
        switch try forkProcess() {
        case .parent(let child): hub.began(line, pid: child)
        case .child:
            try hub.enterChild(line)
            for number in 0..<seriesCount {
                try SharedCounter("page_requests", labels: ["route": "/r/\(number)"]).increment(by: number)
            }
            _exit(0)
        }
    }
    // Ended, and not collected.
    var info = siginfo_t()
    for _ in 0..<processes { while waitid(P_ALL, 0, &info, WEXITED | WNOWAIT) != 0 {} }
    usleep(200_000)
    var (times, processor): ([Double], [Double]) = ([], [])
    var text: [UInt8] = []
    for _ in 0..<max(11, rounds / 4) {
        text.removeAll(keepingCapacity: true)
        let (begin, used) = (nanoseconds(), nanoseconds(CLOCK_THREAD_CPUTIME_ID))
        hub.writePage(.prometheus, to: &text)
        times.append(Double(nanoseconds() - begin) / 1e6)
        processor.append(Double(nanoseconds(CLOCK_THREAD_CPUTIME_ID) - used) / 1e6)
    }
    tell("page, ms", times.sorted()[times.count / 2])
    tell("page, ms of the processor", processor.sorted()[processor.count / 2])
    let sum = String(decoding: text, as: UTF8.self).split(separator: "\n")
        .first { $0.hasPrefix("page_requests_total{route=\"/r/1\"}") }
    guard sum?.hasSuffix(" \(processes)") == true else { fatalError("the page says \(sum ?? "nothing")") }
}

try measure("one thread")
if processes > 0 { try measurePages() }
startThread()
try measure("several threads")
