// What a worker pays for a sign of life: nanoseconds for one, as a line of JSON.

import Glibc
import Prefork

private func nanoseconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
}

var runtime = ForkRuntime(workers: .count(1))
runtime.log = { _ in }
runtime.hangs = HangPolicy(soft: .seconds(600))
let summary = try runtime.run { worker in
    let count = 20_000_000
    var begin = nanoseconds()
    for _ in 0..<count { worker.heartbeat() }
    let beat = (nanoseconds() - begin) / Double(count)
    begin = nanoseconds()
    for _ in 0..<count { worker.countRequest() }
    let request = (nanoseconds() - begin) / Double(count)
    print("{\"heartbeat\": \(beat), \"request\": \(request)}")
    fflush(nil)
}
exit(summary.outcome.exitCode)
