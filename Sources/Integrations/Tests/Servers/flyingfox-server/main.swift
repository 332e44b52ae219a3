// FlyingFox in each worker, on the inherited listener.

import FlyingFox
import Foundation
import Glibc
import Prefork
import PreforkFlyingFox
import SlowRequest

let listener = try Listener(.tcp("127.0.0.1", portArgument))
print("listening on \(listener.address)")

var runtime = ForkRuntime()
runtime.readiness = .manual
let summary = try runtime.run { worker in
    var routes = RoutedHTTPHandler()
    routes.appendRoute("/") { _ in HTTPResponse(statusCode: .ok, body: Data("\(getpid())".utf8)) }
    routes.appendRoute("/slow") { _ in
        SlowRequest.begin()
        try await Task.sleep(for: SlowRequest.duration)
        return HTTPResponse(statusCode: .ok, body: Data(SlowRequest.answer.utf8))
    }
    try await serve(routes, on: listener, as: worker)
}
exit(summary.outcome.exitCode)
