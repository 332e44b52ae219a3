// Children that cause lines of the log as fast as they can: `lines attack=NAME times=N`.

import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// A pool of two. Worker 0 attacks in each of its lives, or a managed process does. Worker 1 serves.
///
/// | attack   | does                                                                      |
/// |----------|---------------------------------------------------------------------------|
/// | dies     | ends with code 3 as soon as it serves                                     |
/// | recycles | claims in each life that it has had its share of requests                 |
/// | hangs    | keeps its loop from turning until it counts as hung, and lets it go on    |
/// | codes    | sends itself codes without meaning, as a managed process                  |
/// | target   | ends with code 3 as soon as it is ready, as a managed process             |
/// | clients  | tells of failed handlers of a client whose name would forge a line        |
///
/// It says `done N` after so many times. Every restart is allowed, and none has to wait: what is left to bound the log
/// is the thinning.
func linesScenario(_ arguments: [String]) throws {
    let settings = Settings(arguments)
    let (attack, times) = (settings["attack"] ?? "", settings.number("times") ?? 100)
    let words = try SharedWords()
    var runtime = ForkRuntime(workers: .count(2))
    runtime.restarts = unlimited
    runtime.drainTimeout = .milliseconds(500)
    if attack == "recycles" { runtime.recycling = RecyclingPolicy(requests: 10) }
    // Looked at each 15 ms, for what the requests and the signs of life say.
    if ["recycles", "hangs"].contains(attack) {
        runtime.hangs = HangPolicy(soft: .milliseconds(60), grace: .seconds(60))
    }
    try runtime.manager.addTarget(
        "hostile", TargetOptions(onFailure: .restart(unlimited), grace: .milliseconds(500))
    ) { (child: borrowing ChildContext<String>) in
        child.ready()
        if attack == "target" {
            if words.next(0) <= times { exit(3) }
            say("done \(times)")
        } else if attack == "codes" {
            for _ in 0..<times {
                // Refused while the ring is full: once more until it is taken.
                while (try? child.send(ControlCode(rawValue: 200))) == nil { usleep(100) }
            }
            say("done \(times)")
        }
        while true { pause() }
    }
    let summary = try runtime.run { worker in
        if worker.taskID == 0 { try await live(worker, attack, times, words) }
        try await worker.stopRequested.wait()
    }
    exit(summary.outcome.exitCode)
}

private let unlimited = RestartPolicy(limit: .max, bootLimit: .max, backoff: Backoff(maximum: .zero))

private struct PeerError: Error {}

private func live(_ worker: Worker, _ attack: String, _ times: Int, _ words: SharedWords) async throws {
    switch attack {
    case "dies":
        if words.next(0) <= times { worker.exit(code: 3) }
    case "recycles":
        if words.next(0) <= times { return worker.countRequest(1 << 20) }
    case "hangs":
        for _ in 0..<times {
            usleep(120_000)
            try await EventLoop.sleep(for: .milliseconds(30))
        }
    case "clients":
        for _ in 0..<times {
            reportToStandardError(.handlerFailed(PeerError(), peer: .unix(path: "\0x\nforged \u{1B}[31m")))
        }
    default:
        return
    }
    say("done \(times)")
}
