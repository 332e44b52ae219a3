// A server and what it needs, as a tree of services in each of two workers.
//
//   service-tree [--port PORT]     then: curl localhost:8080/. Ctrl-C stops it, the server first, the database last
//   service-tree --plan            prints what would start when, as a mermaid picture, and starts nothing
//   service-tree --crash NAME      a task of database, cache, mail or server fails: how the tree comes down (exit 70)

import Glibc
import Prefork

guard let options = Options(CommandLine.arguments.dropFirst()) else {
    print("usage: service-tree [--port PORT] [--plan] [--crash database|cache|mail|server]")
    exit(64)
}
if options.isPlan {
    print(try ServicePlan(Server.tree(options)).mermaid)
    exit(0)
}

let listener = try Listener(.tcp("127.0.0.1", options.port))
var runtime = ForkRuntime(workers: .count(2))
// A tree that is made to crash would do so again.
if options.crash != nil { runtime.restarts.limit = 0 }
runtime.hooks.onAllReady = {
    print("listening on http://\(listener.address) (pid \(getpid()))")
    fflush(nil)
}
let summary = try runtime.run { worker in
    // After the fork: each worker has its own services. It is ready when the tree is up, the supervisor asks it to
    // stop, and if `run` throws, it ends with the error's exit code.
    try await Server.tree(options, worker, listener).run()
}
exit(summary.outcome.exitCode)
