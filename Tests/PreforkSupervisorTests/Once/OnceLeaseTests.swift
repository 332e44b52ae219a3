// What a lease changes in the supervisor: due times that are the same on all machines, and runs without a body.

import PreforkSystem
import Testing

@testable import PreforkSupervisor

private let start = OnceInstant(monotonic: MonotonicInstant(nanoseconds: 5_000_000_000), wall: 1_796_083_200_123)

@Suite(.timeLimit(.minutes(2))) struct OnceLeaseTests {
    private func settings(_ interval: Duration = .seconds(10), jitter: Duration = .zero) -> OnceSettings {
        var settings = OnceSettings(name: "a", .aligned(interval), jitter: jitter)
        settings.isLeased = true
        return settings
    }

    private func later(_ duration: Duration, wall: Duration? = nil) -> OnceInstant {
        OnceInstant(
            monotonic: start.monotonic + duration,
            wall: start.wall + (wall ?? duration).saturatedNanoseconds / 1_000_000)
    }

    @Test func `Aligned due times are multiples of the interval by the wall clock, wherever a machine begins`() throws {
        var random = SplitMix64(seed: 1)
        for offset in [0, 1, 4_999, 9_876, 9_877, 12_345] as [Int64] {
            let now = later(.milliseconds(offset))
            var times = OnceDueTimes(settings(), at: now, using: &random)
            #expect(times.nextWall(at: now) % 10_000 == 0)
            #expect(times.nextWall(at: now) > now.wall && times.nextWall(at: now) <= now.wall + 10_000)
            let arrived = try #require(times.take(at: later(.milliseconds(offset + 10_000)), using: &random).arrived)
            #expect(arrived.scheduled % 10_000 == 0 && arrived.count == 1 && arrived.last == 1)
        }
    }

    @Test func `Aligned due times follow the wall clock forward, and by small steps back without a second time`() throws {
        var random = SplitMix64(seed: 1)
        var times = OnceDueTimes(settings(), at: start, using: &random)
        // Set forward by an hour.
        let ahead = try #require(times.take(at: later(.seconds(1), wall: .seconds(3_600)), using: &random).arrived)
        #expect(ahead.count == 360 && ahead.scheduled == start.wall / 10_000 * 10_000 + 3_600_000)
        // And back.
        let (none, isBack) = times.take(at: later(.seconds(30)), using: &random)
        #expect(none == nil && !isBack)
        let (again, setBack) = times.take(at: later(.seconds(31), wall: .seconds(-20_000)), using: &random)
        #expect(again == nil && setBack)
        #expect(times.nextWall(at: later(.seconds(31), wall: .seconds(-20_000))) <= start.wall - 20_000_000 + 10_000)
    }

    @Test func `Each due time that has come keeps its own time`() throws {
        let minute = Duration.seconds(60)
        for schedule in [OnceSchedule.aligned(minute), .cron(try CronSchedule("* * * * *")), .every(minute)] {
            var table = OnceTable(seed: 1)
            table.add(OnceSettings(name: "a", schedule, misfire: .runEach), at: start)
            _ = table.begin(at: start) { _ in true }
            _ = table.tick(at: later(.seconds(301))) { _ in false }
            let times = try #require(table["a"]).waiting.map(\.scheduled)
            #expect(times.count == 5)
            #expect(zip(times, times.dropFirst()).allSatisfy { $1 - $0 == 60_000 }, "\(times)")
            let late = later(.seconds(301)).wall - (times.last ?? 0)
            #expect(late >= 0 && late < 60_000)
        }
    }

    @Test func `The next image continues where the previous one was, and its due times are those of before`() throws {
        var random = SplitMix64(seed: 1)
        var table = OnceTable(seed: 1)
        table.add(settings(), at: start)
        _ = table.begin(at: start) { _ in true }
        _ = table.tick(at: later(.seconds(10))) { _ in true }
        let record = try #require(table.records(at: later(.seconds(10))).first)
        #expect(record.schedule == "aligned 10000000000" && record.anchor == nil)
        var next = OnceDueTimes(settings(), count: record.dueTimes, at: later(.seconds(35)), using: &random)
        next.continueFrom(second: try #require(record.nextSecond))
        let arrived = try #require(next.take(at: later(.seconds(35)), using: &random).arrived)
        #expect(arrived.count == 2 && arrived.last == 3)
    }

    @Test(arguments: [OnceLeaseCode.elsewhere, OnceLeaseCode.noLease])
    func `A run without its body is neither a success nor a failure, and is not repeated`(code: Int32) throws {
        var table = OnceTable(seed: 1)
        table.add(settings(), at: start)
        _ = table.begin(at: start) { _ in true }
        _ = table.tick(at: later(.seconds(10))) { _ in true }
        _ = table.forked("a", pid: 7, at: later(.seconds(10)))
        let actions = table.ended(
            "a", pid: 7, .exited(code: code), wasAsked: false, isStuck: false, at: later(.seconds(11))) { _ in true }
        let task = try #require(table["a"])
        let result = code == OnceLeaseCode.elsewhere ? OnceResult.elsewhere : .noLease
        #expect(task.counters.results == [result: 1])
        #expect(task.lastSuccess == nil && task.waiting.isEmpty && task.phase == .idle)
        guard case .report(let report)? = actions.first else { throw NoReport() }
        #expect(actions.count == 1)
        #expect(report.line.level == (result == .elsewhere ? .info : .warning), "\(report.line)")
        // And over an upgrade.
        let record = try #require(table.records(at: later(.seconds(11))).first)
        var writer = JSONWriter()
        record.write(&writer)
        let read = try #require(OnceRecord(try JSONParser.parse(writer.bytes)))
        #expect(read.counters == record.counters && read.last == record.last)
    }

    @Test func `Without a lease these codes are failures`() throws {
        var table = OnceTable(seed: 1)
        table.add(OnceSettings(name: "a", .every(.seconds(10))), at: start)
        _ = table.begin(at: start) { _ in true }
        _ = table.tick(at: later(.seconds(10))) { _ in true }
        _ = table.forked("a", pid: 7, at: later(.seconds(10)))
        _ = table.ended(
            "a", pid: 7, .exited(code: OnceLeaseCode.elsewhere), wasAsked: false, isStuck: false,
            at: later(.seconds(11))) { _ in true }
        #expect(table["a"]?.counters.results == [.failed: 1])
    }

    @Test func `A worker's answer says that there was no lease, for its own run`() {
        for code in [OnceLeaseCode.elsewhere, OnceLeaseCode.noLease] {
            let word = OnceAnswer.word(run: 5, code: code)
            #expect(OnceAnswer.code(word, run: 5) == code)
            #expect(OnceAnswer.code(word, run: 6) == nil)
        }
        #expect(OnceAnswer.code(OnceAnswer.word(run: 5, code: 200), run: 5) == 1)
    }

    @Test func `An interval with a lease has whole milliseconds`() {
        #expect(throws: ProcessError.self) { try settings(.microseconds(10_500)).check() }
        #expect(throws: Never.self) { try settings(.milliseconds(10)).check() }
    }
}

private struct NoReport: Error {}
