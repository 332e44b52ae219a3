// What a ForkedApplication refuses: FORM=service|threads|delegate|free.

import Glibc
import Hummingbird
import HummingbirdCore
import PreforkHummingbird
import SlowRequest

var app = ForkedApplication(router: Router(), configuration: .init(address: .hostname("127.0.0.1", port: 0)))
do {
    switch String(cString: getenv("FORM") ?? strdup("free")) {
    case "service": try await app.run()
    case "threads":
        // A real wait: Swift's threads are there afterwards.
        try await Task.sleep(for: .milliseconds(1))
        try await app.runService()
    case "delegate":
        app.configuration.availableConnectionsDelegate = MaximumAvailableConnections(10)
        try await app.runService()
    default: try await app.runService()
    }
} catch {
    SlowRequest.tell("refused: \(error)")
    exit(65)
}
