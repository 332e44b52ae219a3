// Workers that do the same for a while, and what they did: limits/processes.h in Swift.

import Glibc
import Prefork
import PreforkSystem

/// The clock is read once per step of so many operations.
let operationsPerStep = 250
let keyCount = 1_000

/// What a worker does again and again.
struct Job: Sendable {
    /// Steps each second; 0: as many as it can.
    var pace = 0.0
    /// Does `operationsPerStep` operations on keys from `first` on. `round` differs with every call.
    let step: @Sendable (_ first: Int, _ round: Int) throws -> Void

    func run(as process: Int, from start: Double, for duration: Double) throws -> ProcessFigures {
        try step(0, 0)
        sleep(until: start)
        // A process that comes late measures its own time.
        var figures = ProcessFigures()
        var round = process + 1
        let begun = now()
        let processor = processorSeconds()
        repeat {
            if pace > 0 { sleep(until: begun + figures.operations / Double(operationsPerStep) / pace) }
            try step(round % (keyCount / operationsPerStep) * operationsPerStep, round)
            round += 1
            figures.operations += Double(operationsPerStep)
            figures.seconds = now() - begun
        } while figures.seconds < duration
        figures.processorSeconds = processorSeconds() - processor
        return figures
    }
}

struct WorkersFailed: Error {
    let reason: String
}

/// `count` workers with one job each, and one more with `beside`, which is not counted. Prints their figures.
///
/// - Returns: how many operations the counted ones did, warming up not among them.
@discardableResult
func measure(_ job: Job, workers count: Int, beside: Job? = nil, for duration: Double) throws -> Int {
    let results = try makePipe()
    let start = now() + 0.05 + 0.005 * Double(count)
    try runWorkers(count + (beside == nil ? 0 : 1)) { worker in
        let isCounted = worker.taskID < count
        let figures = try (isCounted ? job : beside!).run(as: worker.taskID, from: start, for: duration)
        if isCounted { try send(figures, to: results.writing) }
    }
    let figures = try receiveFigures(from: results.reading)
    guard figures.count == count else { throw WorkersFailed(reason: "\(figures.count) of \(count) have figures") }
    report(figures)
    return Int(figures.map(\.operations).reduce(0, +))
}

/// Runs workers that nobody replaces; returns when the last one has ended.
func runWorkers(_ count: Int, _ body: @escaping @Sendable (Worker) async throws -> Void) throws {
    var runtime = ForkRuntime(workers: .count(count))
    runtime.restarts.limit = 0
    runtime.log = { _ in }
    let summary = try runtime.run { worker in
        worker.ready()
        try await body(worker)
    }
    guard summary.outcome.exitCode == 0 else { throw WorkersFailed(reason: "\(summary.outcome)") }
}

/// One write of a few bytes, which a pipe takes whole.
private func send(_ figures: ProcessFigures, to pipe: Int32) throws {
    let taken = try withUnsafeBytes(of: figures) { try writeBytes(to: pipe, $0) }
    guard taken == MemoryLayout<ProcessFigures>.size else { throw WorkersFailed(reason: "the pipe is full") }
}

private func receiveFigures(from pipe: Int32) throws -> [ProcessFigures] {
    var all: [ProcessFigures] = []
    while true {
        var figures = ProcessFigures()
        let outcome = try withUnsafeMutableBytes(of: &figures) { try readBytes(from: pipe, into: $0) }
        guard outcome == .bytes(MemoryLayout<ProcessFigures>.size) else { return all }
        all.append(figures)
    }
}
