// Profiles of workers: who is sampled, what is kept, and how they are asked for.

import PreforkSystem
import Testing

@testable import PreforkSupervisor

@Suite struct ProfileRunTests {
    private let start = MonotonicInstant(nanoseconds: 1_000_000_000)
    private let sample = StackSample(weight: 1, frames: [1, 2])

    private func run(slot: Int? = nil, seconds: Int = 10) -> ProfileRun {
        ProfileRun(number: 7, ProfileOrder(seconds: seconds, rate: 99, slot: slot), at: start)
    }

    private func subject(_ spawn: UInt64, slot: Int, lane: Int) -> ProfileRun.Subject {
        .init(spawn: spawn, slot: slot, pid: Int32(100 + spawn), lane: lane)
    }

    @Test func eachWorkerHasALaneOfItsOwn() {
        var run = run()
        #expect(run.lane(for: 1, slot: 0) == 0)
        run.began(subject(1, slot: 0, lane: 0), isLate: false)
        #expect(run.lane(for: 1, slot: 0) == nil)
        #expect(run.lane(for: 2, slot: 1) == 1)
        run.ended(1, at: start)
        #expect(run.lane(for: 2, slot: 1) == 0)
    }

    @Test func oneSlotAloneCanBeSampled() {
        var run = run(slot: 3)
        #expect(run.lane(for: 1, slot: 0) == nil)
        #expect(run.lane(for: 2, slot: 3) == 0)
    }

    @Test func moreWorkersThanLanesAreSaidOnce() {
        var run = run()
        for spawn in 0..<UInt64(ProfileLanes.count) {
            let lane = run.lane(for: spawn, slot: 0)
            #expect(lane == Int(spawn))
            run.began(subject(spawn, slot: 0, lane: Int(spawn)), isLate: false)
        }
        #expect(run.lane(for: 1_000, slot: 0) == nil && run.lane(for: 1_001, slot: 0) == nil)
        #expect(run.take(at: start).notes == ["only 64 workers at a time are sampled"])
    }

    @Test func whatIsKnownIsTakenOnce() {
        var run = run()
        run.began(subject(1, slot: 0, lane: 0), isLate: false)
        run.read(1, to: 5, [sample], lost: 3)
        run.read(1, to: 6, [sample], lost: 0)
        let part = run.take(at: start)
        #expect(part.workers == [ProfiledWorker(slot: 0, pid: 101, samples: [sample, sample])])
        #expect(part.lost == 3 && !part.isOver && part.notes.isEmpty)
        #expect(run.subjects[1]?.position == 6)
        #expect(run.take(at: start) == ProfilePart())
        #expect(run.take(at: start + .seconds(10)).isOver)
    }

    @Test func samplesThatAreNotFetchedAreBounded() {
        var run = run()
        run.began(subject(1, slot: 0, lane: 0), isLate: false)
        for _ in 0..<30 { run.read(1, to: 0, Array(repeating: sample, count: 255), lost: 0) }
        let part = run.take(at: start)
        #expect(part.workers[0].samples.count == ProfileRun.mostKept)
        #expect(part.lost == UInt64(30 * 255 - ProfileRun.mostKept))
    }

    @Test func endsAndLateComersAreSaid() {
        var run = run()
        run.began(subject(1, slot: 0, lane: 0), isLate: false)
        run.began(subject(2, slot: 1, lane: 1), isLate: true)
        run.wasRefused(2, .again)
        run.wasRefused(2, .again)
        run.ended(1, at: start + .seconds(1))
        run.ended(2, at: start + .seconds(10))
        run.ended(3, at: start)
        #expect(
            run.take(at: start).notes == [
                "worker 1 (pid 102) came in the middle",
                "worker 1 (pid 102) has no timer: Resource temporarily unavailable (EAGAIN)",
                "worker 0 (pid 101) ended in the middle",
            ])
    }

    @Test func timeIsCountedInWholeSeconds() {
        let run = run()
        #expect(run.secondsLeft(at: start) == 10)
        #expect(run.secondsLeft(at: start + .milliseconds(9_999)) == 1)
        #expect(run.secondsLeft(at: start + .seconds(10)) == nil)
    }

    @Test func aClientThatIsSilentIsGone() {
        var run = run(seconds: 60)
        #expect(!run.isAbandoned(at: start + .milliseconds(2_999)) && run.isAbandoned(at: start + .seconds(3)))
        _ = run.take(at: start + .seconds(2))
        #expect(!run.isAbandoned(at: start + .seconds(4)) && run.isAbandoned(at: start + .seconds(5)))
    }

    @Test func requestsAreChecked() throws {
        func request(_ text: String) throws -> ControlRequest { try ControlRequest(line: Array(text.utf8)) }
        #expect(
            try request(#"{"command":"profile"}"#)
                == .profile(.begin(ProfileOrder(seconds: 10, rate: 99, slot: nil))))
        #expect(
            try request(#"{"command":"profile","seconds":3600,"rate":999,"slot":4}"#)
                == .profile(.begin(ProfileOrder(seconds: 3_600, rate: 999, slot: 4))))
        #expect(try request(#"{"command":"profile","collect":12}"#) == .profile(.collect(number: 12)))
        #expect(try request(#"{"command":"profile","end":12}"#) == .profile(.end(number: 12)))
        for bad in [
            #""seconds":0"#, #""seconds":3601"#, #""rate":0"#, #""rate":1000"#, #""slot":-1"#, #""collect":"x""#,
            #""collect":1,"rate":2"#, #""wait":true"#,
        ] {
            #expect(throws: ControlRequestError.self) { try request(#"{"command":"profile",\#(bad)}"#) }
        }
    }

    @Test func answersAreJSON() throws {
        let part = ProfilePart(
            workers: [ProfiledWorker(slot: 1, pid: 5, samples: [sample, StackSample(weight: 3, frames: [255])])],
            notes: ["a \"b\""], lost: 2, isOver: true)
        let line = String(decoding: JSONWriter.profile(.part(part)), as: UTF8.self)
        #expect(
            line == """
                {"ok":true,"profile":{"isOver":true,"lost":2,"notes":["a \\"b\\""],\
                "workers":[{"slot":1,"pid":5,"samples":"1 1 2\\n3 ff"}]}}

                """)
        #expect(String(decoding: JSONWriter.profile(.refused("no")), as: UTF8.self) == "{\"ok\":false,\"error\":\"no\"}\n")
    }
}
