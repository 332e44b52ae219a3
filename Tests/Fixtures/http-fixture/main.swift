// A pool of HTTP servers for tests: what a worker's supervisor learns of requests, and how they end.

import Glibc
import Prefork
import PreforkHTTP

/// Not in the closure of main.swift, which belongs to the main actor.
@Sendable func respond(to request: HTTPRequest, in worker: Worker) async throws -> HTTPResponse {
    if let socket = movingSocket(request, in: worker) { return socket }
    switch request.path {
    case "/crash": fatalError("a crash in a handler")
    case "/late-crash":
        try await EventLoop.sleep(for: .milliseconds(1))
        fatalError("a late crash in a handler")
    case "/pid": return .text("\(getpid())")
    case "/client": return .text("\(request.client)")
    case "/slow":
        while !worker.stopRequested.isRequested { try await EventLoop.sleep(for: .milliseconds(1)) }
        return .text("done")
    case "/socket", "/impatient":
        var options = WebSocketOptions()
        if request.path == "/impatient" { options.closeTimeout = .milliseconds(200) }
        return .webSocket(for: request, options: options) { socket in
            for try await message in socket { try await socket.send(message) }
        }
    case "/deaf":
        return .webSocket(for: request) { _ in
            // Neither the close frame of the worker's end nor its cancellation ends it.
            while true { try? await EventLoop.sleep(for: .seconds(3_600)) }
        }
    case "/collect": return .text("\(try await request.body.collect().count)\n")
    case "/large":
        return .stream(count: 64 << 20) { writer in
            for _ in 0..<1_024 { try await writer.write([UInt8](repeating: 0x61, count: 1 << 16)) }
        }
    case "/pause":
        try await EventLoop.sleep(for: .milliseconds(40))
        return .noContent
    case "/wait":
        try await EventLoop.sleep(for: .seconds(3_600))
        return .noContent
    default: return tellsReadings() ? try await reading(of: request) : .text(request.path)
    }
}

/// With `files=FOLDER`, its files are below `/files/`.
@Sendable func files() throws -> HTTPFiles? {
    guard let word = CommandLine.arguments.dropFirst(2).first, word.hasPrefix("files=") else { return nil }
    return try HTTPFiles(root: String(word.dropFirst(6)))
}

/// With `proxied`, each connection begins with a header of the PROXY protocol.
@Sendable func options() -> HTTPServerOptions {
    var options = HTTPServerOptions()
    if CommandLine.arguments.contains("proxied") {
        options.trustedProxies = try? TrustedProxies(["127.0.0.0/8"])
        options.expectsProxyHeader = true
    }
    return options
}

/// With `readings`, as `Scripts/http-readings` needs it: each response says what was read of its request.
@Sendable func tellsReadings() -> Bool { CommandLine.arguments.dropFirst(2).first == "readings" }

/// Method, target and body, which are hexadecimal where they may have any byte.
@Sendable func reading(of request: HTTPRequest) async throws -> HTTPResponse {
    func hex(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
    let body = try await request.body.collect()
    return .json(#"{"m":"\#(hex(request.method.name.utf8))","t":"\#(hex(request.target.utf8))","b":"\#(hex(body))"}"#)
}

/// The values of `NAME=VALUE` among the arguments.
func values(_ name: String) -> [String] {
    CommandLine.arguments.filter { $0.hasPrefix(name + "=") }.map { String($0.dropFirst(name.count + 1)) }
}

let folder = CommandLine.arguments.dropFirst(2).first == "clients" ? CommandLine.arguments[3] : nil
let listener = try Listener(.tcp("127.0.0.1", folder == nil ? 0 : CommandLine.arguments.dropFirst(4).first.flatMap { UInt16($0) } ?? 0))
// Further ones, by HTTP and by something else.
let beside = try values("http").map { try Listener($0) }
let plain = try values("plain").map { try Listener($0) }
var runtime = ForkRuntime(workers: Int(CommandLine.arguments[1]))
if folder != nil || CommandLine.arguments.contains("storm") {
    // A storm kills workers by the thousand.
    runtime.restarts.limit = 1_000_000
    runtime.restarts.bootLimit = 1_000_000
    runtime.restarts.backoff.maximum = .zero
}
runtime.hooks.onAllReady = {
    print("port \(listener.address.port ?? 0)")
    fflush(nil)
}
runtime.runAndExit { worker in
    dieAtSteps(EventLoop.current)
    if let folder {
        let files = try HTTPFiles(root: folder)
        return try await listener.serveHTTP { request in try await answer(request, files) }
    }
    let files = try files()
    // A body that waits for something first is ready before it serves.
    if CommandLine.arguments.contains("late") { try await EventLoop.sleep(for: .milliseconds(1)) }
    try await withThrowingTaskGroup { group in
        for listener in [listener] + beside {
            group.addTask {
                try await listener.serveHTTP(options: options()) { request in
                    if let files, request.path.hasPrefix("/files/") {
                        return try files.response(to: request, path: String(request.path.dropFirst(6)))
                    }
                    return try await respond(to: request, in: worker)
                }
            }
        }
        for listener in plain { group.addTask { try await listener.serve { _ in } } }
        try await group.waitForAll()
    }
}
