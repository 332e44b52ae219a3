// What clients ask for (Scripts/real-clients, and the storm's Scripts/storms/storm_clients.py).

import Glibc
import PreforkEventLoop
import PreforkHTTP

/// With `clients FOLDER [PORT]`, the arguments behind the first, the folder's files are served beside this.
@Sendable func answer(_ request: HTTPRequest, _ files: HTTPFiles) async throws -> HTTPResponse {
    switch request.path {
    case "/": return .text("Hello World")
    case "/crash/fatal": fatalError("a crash in a handler")
    case "/pid": return .text("\(getpid())")
    case "/socket":
        return .webSocket(for: request) { socket in
            for try await message in socket { try await socket.send(message) }
        }
    // The same for all requests of one connection.
    case "/peer": return .text("\(request.peer)")
    case "/sum": return .text(try await sum(of: request))
    case "/echo": return .stream(request.body)
    case "/collect": return .text("\(try await request.body.collect().count)")
    // Without a look at the body.
    case "/refuse": return .text("too much\n", status: .contentTooLarge)
    case "/numbers":
        return .stream { writer in
            for number in 0..<50_000 { try await writer.write("\(number)\n") }
            try await writer.setTrailers(["X-Count": "50000"])
        }
    case "/endless":
        return .stream { writer in
            while true { try await writer.write([UInt8](repeating: 0x78, count: 32 * 1024)) }
        }
    case "/elsewhere": return try .redirect(to: "/peer", status: .seeOther)
    case "/hints":
        try await request.inform(.earlyHints, ["Link": "</style.css>; rel=preload"])
        return .text("after hints")
    case "/slow":
        try await EventLoop.sleep(for: .milliseconds(50))
        return .text("slow")
    default: return try files.response(to: request)
    }
}

/// How many bytes the body has, in which framing, and their Adler-32 (RFC 1950).
private func sum(of request: HTTPRequest) async throws -> String {
    var (low, high, count) = (1, 0, 0)
    for try await piece in request.body {
        count += piece.count
        for byte in piece {
            low = (low + Int(byte)) % 65_521
            high = (high + low) % 65_521
        }
    }
    return "\(count) \(high << 16 | low) \(request.body.count == nil ? "chunked" : "length")"
}
