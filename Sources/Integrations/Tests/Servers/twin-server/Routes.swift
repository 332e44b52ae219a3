// What both servers answer: everything that a response can be made of.

import HTTPTypes
import Hummingbird
import NIOCore

/// A context that needs a channel.
struct TwinContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any NIOCore.Channel

    init(source: Source) {
        coreContext = .init(source: source)
        channel = source.channel
    }
}

struct Person: ResponseCodable {
    var name: String
    var age: Int
}

/// An error that Hummingbird does not know.
struct Surprise: Error {}

/// Adds a field to each response, also to those of errors that handlers throw.
struct Stamp: RouterMiddleware {
    func handle(
        _ request: Request, context: TwinContext, next: (Request, TwinContext) async throws -> Response
    ) async throws -> Response {
        var response = try await next(request, context)
        response.headers[.init("X-Stamp")!] = context.endpointPath ?? "none"
        return response
    }
}

func twinRouter() -> Router<TwinContext> {
    let router = Router(context: TwinContext.self, options: .autoGenerateHeadEndpoints)
    router.addMiddleware {
        Stamp()
        CORSMiddleware(allowOrigin: .originBased, allowHeaders: [.contentType], allowMethods: [.get, .post])
    }
    addTexts(to: router)
    addBodies(to: router)
    addStatuses(to: router)
    return router
}

private func addTexts(to router: Router<TwinContext>) {
    router.get("/") { _, _ in "Hello World" }
    router.get("/text/:name") { _, context in "Hello \(try context.parameters.require("name"))" }
    router.get("/rest/**") { _, context in context.parameters.getCatchAll().joined(separator: "|") }
    router.get("/json") { _, _ in Person(name: "Ada", age: 36) }
    router.post("/json") { request, context in
        var person = try await request.decode(as: Person.self, context: context)
        person.age += 1
        return person
    }
    router.get("/query") { request, _ in
        request.uri.queryParameters.map { "\($0.key)=\($0.value)" }.sorted().joined(separator: "\n")
    }
    router.get("/uri") { request, _ in "\(request.uri.path) \(request.uri.query ?? "none") \(request.uri)" }
    router.get("/fields") { request, _ in
        request.headers.map { "\($0.name.canonicalName): \($0.value)" }.sorted().joined(separator: "\n")
    }
    router.get("/head") { request, _ in
        let head = request.head
        return "\(head.method) \(head.authority ?? "none") \(head.scheme ?? "none") \(head.path ?? "none")"
    }
    router.get("/cookie") { request, _ in
        let cookie = ByteBuffer(string: request.cookies["a"]?.value ?? "none")
        var response = Response(status: .ok, body: .init(byteBuffer: cookie))
        response.setCookie(.init(name: "one", value: "1"))
        response.setCookie(.init(name: "two", value: "2", path: "/", httpOnly: true))
        return response
    }
    router.get("/peer") { _, context in
        "\(context.channel.remoteAddress?.ipAddress ?? "none") \(context.channel.localAddress?.ipAddress ?? "none")"
    }
    router.get("/date") { _, _ in
        Response(status: .ok, headers: [.date: "never", .server: "another"], body: .init())
    }
}

private func addBodies(to router: Router<TwinContext>) {
    router.get("/bytes/:count") { _, context in
        ByteBuffer(repeating: 0x61, count: try context.parameters.require("count", as: Int.self))
    }
    router.get("/stream/:count") { _, context in
        let count = try context.parameters.require("count", as: Int.self)
        return Response(status: .ok, body: .init { writer in
            for number in 0..<count { try await writer.write(ByteBuffer(string: "number \(number)\n")) }
            try await writer.finish(nil)
        })
    }
    router.get("/sized/:count") { _, context in
        let count = try context.parameters.require("count", as: Int.self)
        return Response(status: .ok, body: .init(contentLength: count * 3) { writer in
            for _ in 0..<count { try await writer.write(ByteBuffer(string: "abc")) }
            try await writer.finish(nil)
        })
    }
    router.get("/pieces") { _, _ in
        Response(status: .ok, body: .init(contentsOf: ["one", "", "two"].map { ByteBuffer(string: $0) }))
    }
    router.get("/trailers") { _, _ in
        Response(status: .ok, body: .init { writer in
            try await writer.write(ByteBuffer(string: "text"))
            try await writer.finish([.init("X-Sum")!: "4"])
        })
    }
    router.get("/mapped") { _, _ in
        let body = ResponseBody(byteBuffer: .init(string: "mapped"))
        return Response(status: .ok, body: body.map { ByteBuffer(bytes: $0.readableBytesView.reversed()) })
    }
    router.post("/echo") { request, _ in Response(status: .ok, body: .init(asyncSequence: request.body)) }
    router.post("/pieces") { request, _ in
        var bytes = 0
        for try await piece in request.body { bytes += piece.readableBytes }
        return "\(bytes)"
    }
    router.post("/collect") { request, _ in
        let body = try await request.body.collect(upTo: 1000)
        return "\(body.readableBytes): \(body.readableBytesView.reduce(0) { $0 &+ Int($1) })"
    }
    router.post("/unread") { _, _ in "not read" }
}

private func addStatuses(to router: Router<TwinContext>) {
    router.get("/status/:code") { _, context in
        HTTPResponse.Status(code: try context.parameters.require("code", as: Int.self))
    }
    router.get("/body/:code") { _, context in
        Response(
            status: .init(code: try context.parameters.require("code", as: Int.self)),
            body: .init(byteBuffer: .init(string: "a body")))
    }
    router.get("/nothing") { _, _ -> String? in nil }
    router.get("/redirect") { _, _ in Response.redirect(to: "/elsewhere", type: .temporary) }
    router.get("/error/:kind") { _, context -> String in
        switch context.parameters.get("kind") {
        case "message": throw HTTPError(.badRequest, message: "a \"bad\" request")
        case "plain": throw HTTPError(.forbidden)
        case "fields": throw HTTPError(.unauthorized, headers: [.wwwAuthenticate: "Basic"], message: "who?")
        default: throw Surprise()
        }
    }
    for method in [HTTPRequest.Method.put, .patch, .delete] {
        router.on("/method", method: method) { request, _ in "\(request.method) \(request.uri.path)" }
    }
}
