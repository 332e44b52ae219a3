// What the supervisor's log lets through, by who can cause a line.

import PreforkSystem
import Testing

@testable import PreforkSupervisor

@Suite struct SupervisorLoggerTests {
    private final class Sink {
        var lines: [LogLine] = []
        var texts: [String] { lines.map(\.text) }
        lazy var logger = SupervisorLogger { [unowned self] in lines.append($0) }
    }

    private static let start = MonotonicInstant(nanoseconds: 1_000_000_000_000)

    private static let exit = ExitReport(
        taskID: 3, pid: 7, generation: 1, uptime: .milliseconds(1), status: .exited(code: 3), wasReady: true,
        killReason: nil, usage: ResourceUsage(), consequence: .none)
    private static let targetExit = TargetExit(
        name: "helper", pid: 7, generation: 1, status: .exited(code: 3), uptime: .milliseconds(1), wasReady: true,
        killReason: nil, usage: ResourceUsage(), consequence: .none)

    /// All that a worker can bring about.
    private static let ofWorkers: [PoolReport] = [
        .forked(taskID: 3, pid: 7, restart: 1), .forkFailed(taskID: 3, reason: "EAGAIN", retryIn: .seconds(1)),
        .ready(taskID: 3, pid: 7, generation: 1, after: .seconds(1)), .exited(exit),
        .killing(taskID: 3, pid: 7, .drainTimeout), .hung(taskID: 3, pid: 7, silent: .seconds(1)),
        .recovered(taskID: 3, pid: 7), .forkedBeside(taskID: 3, pid: 7, .recycling(.requests)),
        .replaced(taskID: 3, old: 7, new: 8, .recycling(.requests)),
        .replacementFailed(taskID: 3, reason: "it died", .recycling(.lifetime)), .recycling(taskID: 3, pid: 7, .memory),
        .scaled(from: 1, to: 2, .load(busy: 99, waiting: 3)), .stoodStill(for: .seconds(2)),
    ]
    /// All that a managed process can.
    private static let ofTargets: [TargetReport] = [
        .forked(name: "helper", pid: 7, generation: 1), .forkFailed(name: "helper", reason: "EAGAIN", retryIn: .zero),
        .ready(name: "helper", pid: 7, after: .zero), .stopping(name: "helper", isRestart: true),
        .killing(name: "helper", pid: 7, .grace), .exited(targetExit),
        .dependencyFailed(name: "helper", dependency: "other"), .ignoredCode(name: "helper", code: 9, count: 1),
        .crashed(name: "helper", pid: 10, signal: .abort, hasBacktracer: true),
        .killing(name: "helper", pid: 7, .crashed),
        .strayControlPacket(bytes: 8), .hookFailed(name: "helper", .afterExit, error: "no"),
        .hookWasSlow(name: "helper", .afterExit, took: .seconds(2)), .restartPrevented(name: "helper"),
        .treeCrashed(name: "helper"),
    ]

    private static let thinned: [(LogLine, LogCause)] =
        ofWorkers.map { ($0.line(limit: 100), $0.cause) } + ofTargets.map { ($0.line, $0.cause) }
        + [LogEvent.snapshot, .stack, .signal, .lateEnd, .strayCode].map {
            (LogLine(.warning, $0.rawValue), .worker(3, $0))
        }
        + [(LogLine(.warning, "shut down"), .pool(.listener)), (LogLine(.warning, "late"), .target("helper", .lateEnd))]

    @Test(arguments: thinned.indices) func `Ten thousand lines of a cause in a second are a few, and a number`(
        _ index: Int
    ) throws {
        let (line, cause) = Self.thinned[index]
        let event: LogEvent =
            switch cause {
            case .worker(_, let event), .target(_, let event), .pool(let event): event
            case .own: try { throw Unthinned() }()
            }
        let sink = Sink()
        for number in 0..<10_000 {
            sink.logger.say(line, by: cause, at: Self.start + .microseconds(number * 99))
        }
        #expect(sink.texts == Array(repeating: line.text, count: event.burst))
        let deadline = try #require(sink.logger.nextDeadline)
        #expect(deadline > Self.start + .seconds(1) && deadline < Self.start + .microseconds(9_999 * 99) + .seconds(1))
        sink.logger.tellLeftOut(at: Self.start + .seconds(2))
        #expect(sink.lines.count == event.burst + 1)
        let rest = try #require(sink.texts.last)
        #expect(rest.hasPrefix("\(10_000 - event.burst) more lines of "))
        #expect(rest.hasSuffix(" (\(event.rawValue)) left out"))
        #expect(sink.logger.nextDeadline == nil)
    }

    private struct Unthinned: Error {}

    @Test func `The next line of the cause tells it, and so does the end`() {
        let sink = Sink()
        let (line, cause) = (LogLine(.warning, "x"), LogCause.worker(0, .hang))
        for second in [0, 0, 0, 1, 1] { sink.logger.say(line, by: cause, at: Self.start + .seconds(second)) }
        #expect(sink.texts == ["x", "x (and 2 like this left out)"])
        sink.logger.tellAllLeftOut()
        #expect(sink.texts.last == "1 more line of worker 0 (hangs) left out")
        sink.logger.tellAllLeftOut()
        #expect(sink.lines.count == 3)
    }

    @Test func `Lines that belong together are written together`() {
        let sink = Sink()
        let stack = ["stack", "frame", "end"].map { LogLine(.warning, $0) }
        for second in [0, 0, 1] { sink.logger.say(stack, by: .worker(0, .stack), at: Self.start + .seconds(second)) }
        #expect(sink.texts == ["stack", "frame", "end", "stack", "frame", "end (and 1 like this left out)"])
    }

    @Test func `A slot's lines leave room for those of another`() {
        let sink = Sink()
        for slot in [0, 0, 1, 1] {
            sink.logger.say(LogLine(.warning, "\(slot)"), by: .worker(slot, .hang), at: Self.start)
        }
        #expect(sink.texts == ["0", "1"])
    }

    /// Orders of an operator have a line each, whatever workers do.
    @Test func `What no child can cause is written always`() {
        let sink = Sink()
        let own: [PoolReport] = [
            .allReady(workers: 2), .stopping(.graceful), .reloadStarted(generation: 2, workers: 2),
            .reloadFinished(generation: 2, after: .zero),
            .reloadAborted(generation: 2, replaced: 1, total: 2, reason: "it died"),
            .forkedBeside(taskID: 1, pid: 7, .reload), .replaced(taskID: 1, old: 7, new: 8, .asked),
            .replacementFailed(taskID: 1, reason: "it died", .reload),
            .replacementDropped(taskID: 1, reason: "it died"),
            .scaled(from: 1, to: 2, .asked), .recycling(taskID: 1, pid: 7, .lifetime),
            .replaced(taskID: 1, old: 7, new: 8, .recycling(.lifetime)),
        ]
        for report in own {
            #expect([.own(.order), .own(.life), .own(.lifetime)].contains(report.cause), "\(report)")
            for _ in 0..<20 { sink.logger.say(report.line(limit: 1), by: report.cause, at: Self.start) }
        }
        #expect(sink.lines.count == 20 * own.count)
    }

    @Test func `A pool whose other workers are done does not call one worker all of them`() {
        #expect(PoolReport.allReady(workers: 1).line(limit: 1, slots: 1).text == "the worker is ready")
        #expect(PoolReport.allReady(workers: 3).line(limit: 1, slots: 3).text == "all 3 workers are ready")
        let text = "all workers are ready: 1 of 2, the rest ended with exit code 0"
        #expect(PoolReport.allReady(workers: 1).line(limit: 1, slots: 2).text == text)
    }

    @Test func `More causes than there is room for are one`() {
        let sink = Sink()
        for slot in 0..<20_000 {
            sink.logger.say(LogLine(.warning, "\(slot)"), by: .worker(slot, .hang), at: Self.start)
        }
        #expect(sink.lines.count == 4097)
        sink.logger.tellAllLeftOut()
        #expect(sink.texts.last == "\(20_000 - 4097) more lines of other causes left out")
    }
}
