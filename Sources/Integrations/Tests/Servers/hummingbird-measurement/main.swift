// The same Hummingbird router in one process with K event loops, or in K workers, for Scripts/bench:
// hummingbird-measurement threads|nio|loop PORT K
//
// nio: Hummingbird's own server in each worker, with one event loop. loop: PreforkHTTP on the worker's own loop.

import Glibc
import Hummingbird
import Logging
import NIOPosix
import Prefork
import PreforkHummingbird

let arguments = CommandLine.arguments
guard arguments.count == 4, let port = UInt16(arguments[2]), let count = Int(arguments[3]), count > 0 else {
    print("usage: hummingbird-measurement threads|nio|loop PORT K")
    exit(64)
}

switch arguments[1] {
case "threads":
    let app = Application(
        router: router(), configuration: .init(address: .hostname("127.0.0.1", port: Int(port)), backlog: 1024),
        eventLoopGroupProvider: .shared(MultiThreadedEventLoopGroup(numberOfThreads: count)), logger: quietLogger())
    try await app.runService()
case let form:
    let listener = try Listener(.tcp("127.0.0.1", port))
    var runtime = ForkRuntime(workers: .count(count))
    if form == "nio" { runtime.readiness = .manual }
    runtime.restarts.backoff.maximum = .zero
    try runtime.run { worker in
        if form == "loop" { return try await listener.serve(router(), in: worker, logger: quietLogger()) }
        let server = try InheritedServer(listener, worker)
        let app = Application(
            router: router(), server: server.http1(), configuration: server.configuration,
            onServerRunning: server.accept, eventLoopGroupProvider: .shared(server.group), logger: quietLogger())
        try await server.run(app)
    }
}
