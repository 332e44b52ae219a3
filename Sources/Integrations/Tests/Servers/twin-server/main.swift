// One router on Hummingbird's own server, or with TWIN=prefork on PreforkHTTP, for the tests that compare them.

import Glibc
import Hummingbird
import Logging
import Prefork
import PreforkHummingbird
import SlowRequest

var quiet = Logger(label: "twin-server")
quiet.logLevel = .critical
let logger = quiet

if String(cString: getenv("TWIN") ?? strdup("own")) == "prefork" {
    let listener = try Listener(.tcp("127.0.0.1", portArgument))
    print("listening on \(listener.address)")
    let summary = try ForkRuntime(workers: 1).run { worker in
        try await listener.serve(twinRouter(), in: worker, serverName: "twin", logger: logger)
    }
    exit(summary.outcome.exitCode)
}
let app = Application(
    router: twinRouter(), configuration: .init(address: .hostname("127.0.0.1", port: 0), serverName: "twin"),
    onServerRunning: { SlowRequest.tell("listening on 127.0.0.1:\($0.localAddress?.port ?? 0)") }, logger: logger)
try await app.runService()
