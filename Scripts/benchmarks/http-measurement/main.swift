// Servers that say Hello World, for `Scripts/bench http`: http-measurement MODE PORT, with one worker.
//
// `http` is PreforkHTTP. `bare` is the loop with as little of a protocol as it takes: it looks for the end of a head and
// writes a fixed answer.

import Prefork
import PreforkHTTP

let mode = CommandLine.arguments[1]
let listener = Listener.orExit("127.0.0.1:" + CommandLine.arguments[2])

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

ForkRuntime(workers: 1).runAndExit { [mode, answer, listener] _ in
    switch mode {
    case "bare": try await listener.serve { try await answerAll($0, answer) }
    default: try await listener.serveHTTP { $0.path == "/" ? .text("Hello World") : .notFound }
    }
}
