// A process that samples its own stack, as its parent orders.

import PreforkFixtureSupport
import PreforkSystem

/// `profile`: a child uses its processor when a byte comes, and is idle until then.
func profileScenario(_ arguments: [String]) throws {
    let lanes = try ProfileLanes()
    let words = try SharedWords()
    let orders = try makeBlockingPipe()
    let burner = try child {
        try lanes.install()
        words[0] = 1
        var byte: UInt8 = 0
        while read(orders.reading, &byte, 1) == 1 {
            burn(.milliseconds(500))
            words[1] += 1
        }
    }
    until { words[0] == 1 }
    join(try child { require(try lanes.begin(burner, lane: 5, rate: 99, seconds: 60), "no handler") })
    func work() {
        let done = words[1]
        require(write(orders.writing, [1], 1) == 1, "no order")
        until { words[1] == done + 1 }
    }
    work()
    var other: UInt64 = 0
    say("stranger \(lanes.read(5, from: &other).samples.count)")
    require(try lanes.begin(burner, lane: 3, rate: 99, seconds: 60), "no handler")
    work()
    work()
    var position: UInt64 = 0
    let (samples, lost) = lanes.read(3, from: &position)
    say("samples \(samples.reduce(0) { $0 + $1.weight }) lost \(lost) refused \(lanes.refusal(3).map { "\($0)" } ?? "-")")
    let code = LoadedObject.all[0].code
    let own = samples.count { $0.frames.count >= 3 && code.contains($0.frames[0]) }
    say("burns \(own * 2 > samples.count)")
    usleep(200_000)
    say("idle \(lanes.read(3, from: &position).samples.count)")
    lanes.end(burner)
    work()
    say("stopped \(lanes.read(3, from: &position).samples.count)")
    killAndReap(burner)
}

/// Uses so much processor time in this function.
@inline(never)
private func burn(_ time: Duration) {
    let end = processorTime() + time
    var number: UInt64 = 1
    while processorTime() < end {
        var round = 0
        while round < 100_000 {
            number = number &* 6_364_136_223_846_793_005 &+ 1
            round += 1
        }
    }
    require(number != 0, "a product of odd numbers")
}

private func processorTime() -> Duration {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
}
