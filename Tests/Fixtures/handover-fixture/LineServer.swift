// The conversation on one connection, in whichever worker.

import Glibc
import Prefork
import PreforkEventLoop

struct LineState: Codable, Sendable {
    var lines = 0
    var padding: [UInt8] = []
}

func serveLines(_ connection: Connection, _ worker: Worker, from begin: LineState) async throws {
    var state = begin
    connection.handoverState = { state }
    while try await connection.reader.waitForMessage() {
        let line = try await connection.reader.read(until: "\n", limit: 1 << 21).dropLast()
        state.lines += 1
        let words = String(decoding: line, as: UTF8.self).split(separator: " ")
        if words.first == "pad" { state.padding = [UInt8](repeating: 7, count: Int(words[1]) ?? 0) }
        let answer = words.first == "moves" ? "\(connection.moves)" : String(decoding: line, as: UTF8.self)
        try await connection.writer.write("\(state.lines) \(worker.generation) \(getpid()) \(answer)\n")
    }
    // A farewell is for peers whose connection ends.
    if !connection.isHandedOver, state.lines > 0 { try await connection.writer.write("bye\n") }
}
