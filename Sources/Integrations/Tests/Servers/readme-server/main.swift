// The program that Hummingbird's README shows, with the type's name and the address changed.

import Hummingbird
import PreforkHummingbird
import SlowRequest

// create router and add a single GET /hello route
let router = Router()
router.get("hello") { request, _ -> String in
    return "Hello"
}
// create application using router
let app = ForkedApplication(
    router: router,
    configuration: .init(address: .hostname("127.0.0.1", port: Int(portArgument))),
    onServerRunning: { channel in SlowRequest.tell("listening on \(channel.localAddress!)") }
)
// run hummingbird application
try await app.runService()
