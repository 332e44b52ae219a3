// What both programs share: the rows by name, clocks, and figures as one line of JSON.

import Glibc

/// The rows as a library carries them out.
public protocol SubprocessRows: Sendable {
    /// Starts /bin/true with inherited streams and waits for its end.
    func spawnTrue() async throws
    /// Reads `head -c bytes /dev/zero` to its end. Returns how many bytes came.
    func drain(bytes: Int) async throws -> Int
    /// Reads the lines of `cat path`. Returns their number.
    func lines(of path: String) async throws -> Int
    /// The same, with lines as bytes.
    func byteLines(of path: String) async throws -> Int
    /// So many times: 64 bytes to `cat` and back. Calls `lap` after each.
    func echo(_ count: Int, lap: @escaping @Sendable () -> Void) async throws
}

public func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

private func report(_ figures: [(String, Double)]) {
    print("{" + figures.map { "\"\($0.0)\": \($0.1)" }.joined(separator: ", ") + "}")
}

private func report(seconds: [Double], total: Double) {
    let sorted = seconds.sorted()
    report([
        ("median_us", sorted[sorted.count / 2] * 1e6), ("p99_us", sorted[sorted.count * 99 / 100] * 1e6),
        ("mean_us", total / Double(seconds.count) * 1e6),
    ])
}

/// Runs the row that the arguments name: spawn COUNT AT_ONCE RESIDENT_MB | drain CHILDREN BYTES | lines | byte-lines
/// PATH BYTES | echo COUNT.
public func measure(_ rows: some SubprocessRows, _ arguments: [String]) async throws {
    let numbers = arguments.dropFirst().map { Int($0) ?? 0 }
    switch arguments.first {
    case "spawn":
        let ballast = resident(numbers[2] << 20)
        defer { free(ballast) }
        try await spawn(rows, count: numbers[0], atOnce: numbers[1])
    case "drain":
        let start = now()
        let total = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<numbers[0] { group.addTask { try await rows.drain(bytes: numbers[1]) } }
            return try await group.reduce(0, +)
        }
        precondition(total == numbers[0] * numbers[1], "\(total) bytes came")
        report([("gb_per_s", Double(total) / (now() - start) / 1e9)])
    case "lines", "byte-lines":
        let start = now()
        let isBytes = arguments[0] == "byte-lines"
        let count = try await isBytes ? rows.byteLines(of: arguments[1]) : rows.lines(of: arguments[1])
        report([("gb_per_s", Double(numbers[1]) / (now() - start) / 1e9), ("lines", Double(count))])
    case "echo":
        let laps = Laps()
        try await rows.echo(numbers[0]) { laps.add() }
        report(seconds: laps.seconds, total: laps.seconds.reduce(0, +))
    default: fatalError("which row?")
    }
}

private func spawn(_ rows: some SubprocessRows, count: Int, atOnce: Int) async throws {
    for _ in 0..<10 { try await rows.spawnTrue() }
    let start = now()
    let seconds = try await withThrowingTaskGroup(of: [Double].self) { group in
        for _ in 0..<atOnce {
            group.addTask {
                var seconds: [Double] = []
                for _ in 0..<count / atOnce {
                    let start = now()
                    try await rows.spawnTrue()
                    seconds.append(now() - start)
                }
                return seconds
            }
        }
        return try await group.reduce(into: []) { $0 += $1 }
    }
    report(seconds: seconds, total: now() - start)
}

/// Memory that is really there.
private func resident(_ bytes: Int) -> UnsafeMutableRawPointer? {
    guard bytes > 0, let memory = malloc(bytes) else { return nil }
    memset(memory, 1, bytes)
    return memory
}

/// Times between calls, of one task.
private final class Laps: @unchecked Sendable {
    // Sendable: called by one task only.
    private var last = now()
    private(set) var seconds: [Double] = []

    func add() {
        let time = now()
        seconds.append(time - last)
        last = time
    }
}
