// Requests that are marked, and what becomes of their workers.

import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// `marks [workers=N] [soft=MS]`: each line of a connection is a request of that label, and what it does:
///
/// | label           | does                                                                      |
/// |-----------------|---------------------------------------------------------------------------|
/// | /wait...        | waits until its client goes                                               |
/// | /trap...        | traps                                                                     |
/// | /late-trap...   | waits a moment, then traps                                                |
/// | /nested-trap    | traps in a synchronous request `/inner` of its own                        |
/// | /block          | blocks the loop                                                           |
/// | /idle-trap      | is answered; then the worker traps with no request in hand                |
/// | others          | are answered with `ok`                                                    |
func marksScenario(_ arguments: [String]) throws {
    let settings = Settings(arguments)
    let listener = try Listener(.tcp("127.0.0.1", 0))
    var runtime = ForkRuntime(workers: .count(settings.number("workers") ?? 1))
    if let soft = settings.milliseconds("soft") { runtime.hangs = HangPolicy(soft: soft, grace: .milliseconds(300)) }
    say("port \(listener.address.port ?? 0)")
    let summary = try runtime.run { worker in
        try await listener.serve { connection in
            while try await connection.reader.waitForMessage() {
                let line = try await connection.reader.read(until: "\n", limit: 1_000).dropLast()
                let label = String(decoding: line, as: UTF8.self)
                let text = try await worker.request(
                    label, trace: TraceID(high: 1, low: 2), refused: { _ in "refused\n" }
                ) { () async throws(any Error) -> String in try await answer(label, worker, connection) }
                try await connection.writer.write(text)
            }
        }
    }
    say("outcome \(summary.outcome)")
    exit(summary.outcome.exitCode)
}

private func answer(_ label: String, _ worker: Worker, _ connection: Connection) async throws -> String {
    switch label {
    case _ where label.hasPrefix("/wait"): _ = try await connection.reader.fill()
    case _ where label.hasPrefix("/trap"): trap()
    case _ where label.hasPrefix("/late-trap"):
        try await EventLoop.sleep(for: .milliseconds(20))
        trap()
    case "/nested-trap": try worker.request("/inner") { trap() }
    case "/block": while true { usleep(1_000) }
    case "/idle-trap": worker.loop.call(after: .milliseconds(200)) { trap() }
    default: break
    }
    return "ok\n"
}
