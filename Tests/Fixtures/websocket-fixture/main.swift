// A server of WebSockets and files for clients that others have written (Scripts/websocket-clients).

import Glibc
import PreforkEventLoop
import PreforkHTTP
import PreforkSystem

/// Every message comes back, up to what the largest case of Autobahn's suite sends.
let large = WebSocketOptions(
    subprotocols: ["chat"], maxMessageSize: 64 << 20, maxFragments: 1 << 20, pingInterval: .seconds(1_000))
/// The defaults.
let small = WebSocketOptions()

@Sendable func echo(_ socket: WebSocket) async throws {
    for try await message in socket { try await socket.send(message) }
}

/// Not in the closure of main.swift, which belongs to the main actor.
@Sendable func respond(to request: HTTPRequest, _ files: HTTPFiles, _ large: WebSocketOptions, _ small: WebSocketOptions)
    throws -> HTTPResponse
{
    switch request.path {
    case "/echo", "/": return .webSocket(for: request, options: large, echo)
    case "/small": return .webSocket(for: request, options: small, echo)
    case "/push":
        return .webSocket(for: request, options: small) { socket in
            for number in 0..<1_000_000 {
                try await socket.send("\(number)")
                try await EventLoop.sleep(for: .milliseconds(1))
            }
        }
    case "/close":
        return .webSocket(for: request, options: small) { socket in
            try await socket.close(code: WebSocketCloseCode(rawValue: 4321), reason: "grüße")
        }
    case "/fail":
        return .webSocket(for: request, options: small) { _ in throw SystemError("read", Errno(rawValue: EIO)) }
    default: return try files.response(to: request)
    }
}

let root = CommandLine.arguments.count > 1 ? CommandLine.arguments[1] : "."
let port = CommandLine.arguments.count > 2 ? UInt16(CommandLine.arguments[2]) ?? 0 : 0
let listener = try Listener(.tcp("127.0.0.1", port))
let files = try HTTPFiles(root: root)
let loop = try EventLoop()
print("port \(listener.address.port ?? 0)")
fflush(nil)
let (largeLimits, smallLimits) = (large, small)
try loop.run { [listener, files] in
    try loop.onSignals([.terminate]) { _ in loop.stopRequest.request(.service) }
    try await listener.serveHTTP(report: { _ in }) { request in
        try respond(to: request, files, largeLimits, smallLimits)
    }
}
