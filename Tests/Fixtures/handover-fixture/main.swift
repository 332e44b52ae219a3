// A server whose connections move: `handover-fixture workers=N faults=FILE`.
//
// It answers each line by `COUNT GENERATION PID LINE`, where COUNT is the number of lines that this connection has sent so
// far, in all workers together: a client sees what is lost or comes twice. Lines that are orders: `pad N` makes the state
// N bytes larger, and `moves` is answered by how often the connection has moved.
//
// Each worker reads the file of faults when it starts: lines of a generation, a word and numbers.

import Glibc
import Prefork
import PreforkEventLoop
import PreforkFixtureSupport
import PreforkSystem

let arguments = Settings(CommandLine.arguments.dropFirst().map { $0 })
guard let faults = arguments["faults"] else {
    complain("usage: handover-fixture faults=FILE [workers=N]")
    exit(64)
}

let listener = try Listener(.tcp("127.0.0.1", 0))
var runtime = ForkRuntime(workers: arguments.number("workers") ?? 1)
say("port \(listener.address)")
try runtime.run { worker in
    let plan = Faults(path: faults, generation: worker.generation)
    plan.install(on: worker.loop)
    plan.end(worker)
    let versions = plan.numbers("versions") ?? [1, 1]
    try await listener.serve(
        limit: plan.numbers("limit")?.first ?? 10_000, handoverVersions: versions[0]...versions[1],
        resuming: { (connection, state: LineState) in try await serveLines(connection, worker, from: state) }
    ) { connection in
        try await serveLines(connection, worker, from: LineState())
    }
}
