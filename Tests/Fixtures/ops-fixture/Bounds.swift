// What a worker in a sandbox may read, for a machine with another kernel.

import Glibc
import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// `bounds PATH ...`: a worker opens each path for reading and says `done`, or the errno.
func boundsScenario(_ arguments: [String]) throws {
    let summary = try ForkRuntime(workers: .count(1)).run { worker in
        for path in arguments {
            let number = open(path, O_RDONLY | O_CLOEXEC)
            say(number < 0 ? Errno(rawValue: errno).name : "done")
            if number >= 0 { close(number) }
        }
        worker.exit(code: 0)
    }
    exit(summary.outcome.exitCode)
}
