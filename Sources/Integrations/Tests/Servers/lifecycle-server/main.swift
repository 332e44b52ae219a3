// Prefork's own server as a service of swift-service-lifecycle, with swift-log and swift-metrics.

import Glibc
import Logging
import Metrics
import MetricsTestKit
import Prefork
import PreforkLifecycle
import PreforkLogging
import PreforkMetrics
import ServiceLifecycle
import SlowRequest

LoggingSystem.bootstrap(StreamLogHandler.standardError, metadataProvider: WorkerMetadata.provider)
MetricsSystem.bootstrap(SharedMetricsFactory())
let logger = Logger(label: "lifecycle-server")
let metrics = TestMetrics()
let listener = try Listener(.tcp("127.0.0.1", portArgument))
print("listening on \(listener.address)")

var runtime = ForkRuntime()
runtime.log(to: logger)
runtime.recordMetrics(in: metrics)
let summary = try runtime.run { worker in
    WorkerMetadata.adopt(worker)
    let orders = Orders()
    let server = ListenerService(listener, of: worker) { try await answer($0, orders) }
    let group = ServiceGroup(services: [Store(logger: logger), server], endingWith: worker, logger: logger)
    orders.onLeave { await group.triggerGracefulShutdown() }
    try await group.run()
}
for name in ["worker_starts", "restarts", "reloads", "worker_exits"] {
    print("prefork_\(name)_total \(metrics.counterTotal(label: "prefork_\(name)_total"))")
}
exit(summary.outcome.exitCode)
