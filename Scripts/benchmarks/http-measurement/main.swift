// Servers for `Scripts/bench`: http-measurement MODE PORT [ROOT], with one worker, or for `handover` with two.
//
// `http` is PreforkHTTP with Hello World, and `bare` the loop with as little of a protocol as it takes: it looks for the
// end of a head and writes a fixed answer. `files` serves the files of ROOT, and `websocket` sends every message back.
// `handover` has WebSockets that move with what they have counted, and `Hello World`.
// `blocking` is `http` with handlers that block for a second: on a thread (`/blocking`), or on the loop (`/block`).

import Glibc
import Prefork
import PreforkHTTP

let mode = CommandLine.arguments[1]
let listener = Listener.orExit("127.0.0.1:" + CommandLine.arguments[2])
let root = CommandLine.arguments.count > 3 ? CommandLine.arguments[3] : "/"

let answer = Array(
    """
    HTTP/1.1 200 OK\r\nDate: Tue, 01 Dec 2026 00:00:00 GMT\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 11\r\n\r\nHello World
    """.utf8)

@Sendable func answerAll(_ connection: Connection, _ answer: [UInt8]) async throws {
    let reader = connection.reader
    while try await reader.waitForMessage() {
        while reader.withBufferedBytes({ !$0.suffix(4).elementsEqual("\r\n\r\n".utf8) }) {
            guard try await reader.fill() else { return }
        }
        let isLast = reader.withBufferedBytes { $0.suffix(9).elementsEqual("close\r\n\r\n".utf8) }
        reader.consume(reader.bufferedCount)
        try await connection.writer.write(answer)
        if isLast { return }
    }
}

@Sendable func echo(_ socket: WebSocket) async throws {
    for try await message in socket { try await socket.send(message) }
}

/// With a state that travels.
@Sendable func echoAndCount(_ socket: WebSocket) async throws {
    var count = try socket.resumedState(as: Int.self) ?? 0
    socket.handoverState = { count }
    for try await message in socket {
        count += 1
        try await socket.send(message)
    }
}

ForkRuntime(workers: mode == "handover" ? 2 : 1).runAndExit { [mode, answer, listener, root] _ in
    switch mode {
    case "bare": try await listener.serve { try await answerAll($0, answer) }
    case "files":
        let files = try HTTPFiles(root: root)
        try await listener.serveHTTP { try files.response(to: $0) }
    case "websocket":
        try await listener.serveHTTP { $0.fields.contains("Upgrade") ? .webSocket(for: $0, echo) : .text("WebSockets") }
    case "handover":
        try await listener.serveHTTP(limit: 20_000) {
            $0.fields.contains("Upgrade") ? .webSocket(for: $0, echoAndCount) : .text("Hello World")
        }
    case "blocking":
        try await listener.serveHTTP { request in
            switch request.path {
            case "/blocking": try await Blocking.run { _ = sleep(1) }
            case "/block": sleep(1)
            default: break
            }
            return .text("Hello World")
        }
    default: try await listener.serveHTTP { $0.path == "/" ? .text("Hello World") : .notFound }
    }
}
