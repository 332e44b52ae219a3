// Workers that use their processors, for profiles.

import Glibc
import Prefork
import PreforkFixtureSupport

/// `burn workers=N`: each worker works for half of the time, and says `burning PID`.
func burnScenario(_ arguments: [String]) throws {
    let settings = Settings(arguments)
    let summary = try ForkRuntime(workers: .count(settings.number("workers") ?? 2)).run { worker in
        worker.ready()
        say("burning \(getpid())")
        while !worker.stopRequested.isRequested {
            useProcessor(5_000_000)
            try await EventLoop.sleep(for: .milliseconds(5))
        }
    }
    exit(summary.outcome.exitCode)
}

/// `pieces`: a worker does the same piece of work over and over, below a stack of some thirty functions, and says the
/// nanoseconds of processor time that each has taken.
func piecesScenario(_ arguments: [String]) throws {
    let summary = try ForkRuntime(workers: .count(1)).run { worker in
        worker.ready()
        say("worker \(getpid())")
        while !worker.stopRequested.isRequested {
            let start = processorNanoseconds()
            descend(30)
            say("piece \(processorNanoseconds() - start)")
            // The loop turns, and a stop is noticed.
            try await EventLoop.sleep(for: .milliseconds(1))
        }
    }
    exit(summary.outcome.exitCode)
}

@inline(never)
private func descend(_ depth: Int) {
    if depth == 0 { useProcessor(3_000_000_000) } else { descend(depth - 1) }
    // No call is its function's last act, which could be made a jump.
    require(depth >= 0, "depth \(depth)")
}

private func processorNanoseconds() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// About a nanosecond a round.
@inline(never)
private func useProcessor(_ rounds: Int) {
    var number: UInt64 = 1
    var round = 0
    while round < rounds {
        number = number &* 6_364_136_223_846_793_005 &+ 1
        round += 1
    }
    require(number != 0, "a product of odd numbers")
}
