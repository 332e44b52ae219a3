// What a run found, as one line of JSON.

/// What one process did in its time.
struct ProcessFigures {
    var operations = 0.0
    var seconds = 0.0
    var processorSeconds = 0.0
}

func report(_ figures: KeyValuePairs<String, Double>) {
    print("{" + figures.map { "\"\($0.key)\": \($0.value)" }.joined(separator: ", ") + "}")
}

/// Of an operation in one process the time and the processor's time; of all processes the operations.
func report(_ processes: [ProcessFigures]) {
    let count = Double(processes.count)
    report([
        "ns": processes.map { $0.seconds / $0.operations }.reduce(0, +) / count * 1e9,
        "cpu_ns": processes.map { $0.processorSeconds / $0.operations }.reduce(0, +) / count * 1e9,
        "mops": processes.map { $0.operations / $0.seconds }.reduce(0, +) / 1e6,
    ])
}

func median(_ seconds: [Double]) -> Double {
    seconds.sorted()[seconds.count / 2]
}

func report(latencies seconds: [Double]) {
    let sorted = seconds.sorted()
    report([
        "median_us": sorted[sorted.count / 2] * 1e6, "p99_us": sorted[sorted.count * 99 / 100] * 1e6,
        "max_us": sorted[sorted.count - 1] * 1e6,
    ])
}
