// A pool whose workers write numbered lines to the access log.

import Glibc
import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// Each worker writes `TASKID PID NUMBER` all the time, and a last line `TASKID PID end NUMBER` when it is asked to stop.
func accessLogScenario(_ arguments: [String]) throws {
    let settings = Settings(arguments)
    let summary = try ForkRuntime(workers: settings.number("workers") ?? 2).run { worker in
        var number = 0
        func write(_ text: String) {
            var line = "\(worker.taskID) \(getpid()) \(text)\n"
            line.withUTF8 { AccessLog.append(UnsafeRawBufferPointer($0)) }
        }
        while !worker.stopRequested.isRequested {
            write("\(number)")
            number += 1
            try await EventLoop.sleep(for: .milliseconds(2))
        }
        write("end \(number)")
    }
    exit(summary.outcome.exitCode)
}
