// What counters and restart scores an upgrade does not set back.

import Testing

@testable import PreforkSupervisor
@testable import PreforkSystem

@Suite(.timeLimit(.minutes(2))) struct RecordsHandoverTests {
    private var records: InheritedRecords {
        var records = InheritedRecords()
        records.counters.recordBoot(after: .milliseconds(3))
        records.counters.recordBoot(after: .seconds(100))
        records.counters.recordDrain(after: .microseconds(20))
        records.counters.recordFailedFork()
        records.counters.recordReload(done: true)
        records.counters.recordReload(done: false)
        let end = ExitReport(
            slot: 1, pid: 7, status: .signaled(.kill, coreDumped: false), hadRequest: true,
            consequence: .restart(in: .zero, number: 1))
        records.counters.recordExit(end, requests: 200)
        records.counters.crashedWorkers = 1
        records.counters.crashedManagedProcesses = 2
        records.counters.slowRequests = 3
        records.counters.loopStalls = 9
        records.counters.quarantinedLabels = 4
        records.counters.refusedRequests = 5
        records.counters.lostOutputBytes = 6
        records.counters.lostOutputLines = 7
        for nanoseconds: UInt64 in [1, 16_001, 5_000_000, .max >> 2] { records.counters.requestDurations.add(nanoseconds) }
        records.requestCrashes = 4
        records.scaledTo = 9
        records.asked = [77: MonotonicInstant(nanoseconds: 5)]
        return records
    }

    @Test func countersSurviveTheirText() {
        #expect(InheritedRecords(text: records.text) == records)
        #expect(records.counters.retiredRequests == 200 && records.counters.restartKinds[.request] == 1)
        #expect(InheritedRecords(text: InheritedRecords().text) == InheritedRecords())
    }

    @Test func reportsOfEndsSurviveTheirText() throws {
        var records = InheritedRecords()
        let frame = StackFrame(
            address: .max, module: "/usr/bin/app", base: 4_096, buildID: [1, 255], symbol: "main", offset: 7)
        var crash = ExitReport(
            slot: 3, pid: 70, status: .signaled(.abort, coreDumped: true), killReason: .hung, outOfMemory: true,
            lastWords: LastWords(message: "Fatal \u{1B}error", lines: ["one", "two"]), hadRequest: true,
            usage: ResourceUsage(userTime: .milliseconds(3), systemTime: .seconds(1), peakMemory: 9_999),
            consequence: .restart(in: .milliseconds(20), number: 4))
        crash.crash = CrashReport(signal: .abort, code: -6, address: 1 << 63, thread: 71, frames: [frame])
        crash.hangStack = [StackFrame(unknown: 5)]
        crash.time = "2026-11-21T03:00:00.042Z"
        crash.requestCount = 2
        crash.isCounted = false
        records.ends = [crash, ExitReport(slot: 0, pid: 71, status: .lost), ExitReport(
            slot: 0, pid: 72, status: .exited(code: 75), wasReady: false, consequence: .giveUp(.startFailed))]
        let read = try #require(InheritedRecords(text: records.text))
        #expect(read == records)
        #expect(InheritedRecords(text: records.text.replacing("\"status\":[2]", with: "\"status\":[2,2]")) == nil)
    }

    @Test func `What a slot remembers of its workers' ends goes on in the next image`() throws {
        var old = PoolDriver.ready(workers: 2) { $0.restarts.limit = 100 }
        for _ in 0..<5 {
            old.exit(1, .failure)
            old.pass(.seconds(2))
            old.settle()
        }
        var left = InheritedRecords()
        old.pool.leave(to: &left)
        #expect(left.slots[1]?.restarts == 5 && left.slots[0] == nil)
        let read = try #require(InheritedRecords(text: left.text))
        #expect(read == left)
        var next = PoolDriver(workers: 2)
        next.pool.inherit(read)
        #expect(next.pool.slots[1].record == old.pool.slots[1].record)
        #expect(next.pool.slots[0].record == RestartHistory())
    }

    @Test func aCounterThatTheImageBeforeDidNotHaveBeginsAtZero() {
        let text = #"{"counters":{"retiredRequests":3},"requestCrashes":0,"slots":[],"asked":[]}"#
        #expect(InheritedRecords(text: text)?.counters.retiredRequests == 3)
        #expect(InheritedRecords(text: text)?.counters.boots == DurationHistogram())
    }

    @Test(arguments: [
        "", "{}", "[]", #"{"counters":{},"requestCrashes":-1,"slots":[],"asked":[]}"#,
        #"{"counters":{"failedForks":-1},"requestCrashes":0,"slots":[],"asked":[]}"#,
        #"{"counters":{"boots":[-1]},"requestCrashes":0,"slots":[],"asked":[]}"#,
        #"{"counters":{},"requestCrashes":0,"slots":[[0,1]],"asked":[]}"#,
        #"{"counters":{},"requestCrashes":0,"slots":[[-1]],"asked":[]}"#,
        #"{"counters":{},"requestCrashes":0,"slots":[[0,0,0,0,0,0,0,9]],"asked":[]}"#,
        #"{"counters":{},"requestCrashes":0,"slots":[],"asked":[[1]]}"#,
        #"{"counters":{},"requestCrashes":0,"slots":[],"asked":[],"scaledTo":0}"#,
    ])
    func whatIsNoRecordIsRefused(text: String) {
        #expect(InheritedRecords(text: text) == nil)
    }
}
