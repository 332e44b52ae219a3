// Workers whose subprocesses do not end by themselves.

import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// `family`: each of two workers starts a program, one that has a child of its own, and one that is detached, and
/// leaves them alone.
func familyScenario(_ arguments: [String]) throws {
    var runtime = ForkRuntime(workers: .count(2))
    runtime.quickTimeout = .seconds(20)
    runtime.hooks.onAllReady = { say("all ready") }
    let summary = try runtime.run { worker in
        let plain = try await Subprocess.spawn(Command("sleep", "1000"))
        say("family \(plain.pid)")
        let parent = try await Subprocess.spawn(
            Command("sh", "-c", "trap '' TERM INT; sleep 1000 & echo $!; wait; wait", stdout: .stream))
        let line = try await parent.stdout!.read(until: "\n", limit: 100)
        say("family \(parent.pid)")
        say("grandchild \(String(decoding: line, as: UTF8.self).dropLast())")
        var command = Command("sleep", "1000")
        command.group = .detached
        let detached = try await Subprocess.spawn(command)
        say("detached \(detached.pid)")
        say("started \(worker.taskID)")
        try await worker.stopRequested.wait()
    }
    say("outcome \(summary.outcome)")
}
