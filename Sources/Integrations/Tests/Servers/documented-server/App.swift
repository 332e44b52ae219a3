// Applications of the shapes that Hummingbird's documentation and examples have, as far as they need Hummingbird alone.
//
// FORM=builder is a router of HummingbirdRouter, FORM=files an application whose files need threads.

import Glibc
import Hummingbird
import HummingbirdRouter
import Logging
import Prefork
import PreforkHummingbird
import SlowRequest

@main
struct App {
    @MainActor
    static func main() async throws {
        switch getenv("FORM").map({ String(cString: $0) }) {
        case "builder": try await runBuilder()
        case "files": runFiles()
        default: try await buildApplication().runService()
        }
    }
}

func quietLogger() -> Logger {
    var logger = Logger(label: "documented-server")
    logger.logLevel = .warning
    return logger
}

func configuration() -> ApplicationConfiguration {
    .init(address: .hostname("127.0.0.1", port: Int(portArgument)), serverName: "documented")
}

/// Forms and JSON come to the same handlers.
struct AppContext: RequestContext {
    var coreContext: CoreRequestContextStorage

    init(source: Source) {
        coreContext = .init(source: source)
    }

    var requestDecoder: FormOrJSONDecoder { .init() }
}

func buildApplication() -> ForkedApplication<RouterResponder<AppContext>> {
    let memory = MemoryPersistDriver()
    let router = Router(context: AppContext.self)
    router.addMiddleware {
        LogRequestsMiddleware(.info)
        ChecksumMiddleware()
    }
    router.get("/") { _, _ in "Hello" }
    TodoController(repository: TodoMemory()).addRoutes(to: router.group("todos"))
    addForm(to: router)
    addEvents(to: router)
    addNotes(to: router, kept: memory)
    return ForkedApplication(
        router: router, configuration: configuration(), services: [memory],
        onServerRunning: { SlowRequest.tell("listening on \($0.localAddress!)") }, logger: quietLogger())
}

/// Values that are kept between requests: in the memory of one worker, as those of every program with several processes.
func addNotes(to router: Router<AppContext>, kept: any PersistDriver) {
    router.put("notes/:name") { request, context in
        let text = String(buffer: try await request.body.collect(upTo: 1000))
        try await kept.set(key: try context.parameters.require("name"), value: text, expires: .seconds(60))
        return HTTPResponse.Status.ok
    }
    router.get("notes/:name") { _, context in
        try await kept.get(key: try context.parameters.require("name"), as: String.self)
    }
}

@MainActor
func runBuilder() async throws {
    let router = RouterBuilder(context: BasicRouterRequestContext.self) {
        LogRequestsMiddleware(.info)
        Get("hello") { _, _ in "Hello" }
        RouteGroup("people") {
            Get(":name") { _, context in "Hello \(try context.parameters.require("name"))" }
            Post { request, _ in
                var count = 0
                for try await piece in request.body { count += piece.readableBytes }
                return "\(count) bytes"
            }
        }
    }
    let app = ForkedApplication(
        router: router, configuration: configuration(),
        onServerRunning: { SlowRequest.tell("listening on \($0.localAddress!)") }, logger: quietLogger())
    try await app.runService()
}
