// A connection to the control socket of this program's own supervisor.

import PreforkSupervisor
import PreforkSystem

final class ControlConnection {
    enum Failure: Error { case late, closed, refused(String) }

    private let socket: Descriptor
    /// What was read beyond the last line.
    private var rest: [UInt8] = []

    init(_ path: String) throws {
        socket = Descriptor(owning: try Socket.open(for: .unix(path: path)))
        try Socket.connect(socket.number, to: .unix(path: path))
    }

    /// - Parameter deadline: asked again when it is over, because it may have moved.
    func ask(_ request: JSONValue, until deadline: () -> MonotonicInstant) throws -> JSONValue {
        _ = try (request.text + [UInt8(ascii: "\n")]).withUnsafeBytes { try sendBytes(to: socket.number, $0) }
        let answer = try answer(until: deadline)
        guard answer["ok"] == .bool(true) else {
            throw Failure.refused(answer["error"]?.string?.unescaped ?? "refused without a reason")
        }
        return answer
    }

    /// A long answer comes in parts (`AnswerParts`).
    private func answer(until deadline: () -> MonotonicInstant) throws -> JSONValue {
        var part = try JSONParser.parse(try line(until: deadline), sizeLimit: AnswerParts.lineLimit)
        guard let count = part["parts"]?.integer else { return part }
        var text = part["text"]?.string?.unescaped ?? ""
        for _ in 1..<max(count, 1) {
            part = try JSONParser.parse(try line(until: deadline), sizeLimit: AnswerParts.lineLimit)
            text += part["text"]?.string?.unescaped ?? ""
        }
        return try JSONParser.parse(Array(text.utf8), sizeLimit: .max)
    }

    private func line(until deadline: () -> MonotonicInstant) throws -> [UInt8] {
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            if let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                defer { rest = Array(rest[(end + 1)...]) }
                return Array(rest[..<end])
            }
            while try !Polling.waitUntilReadable([socket.number], until: deadline()) {
                if deadline() <= .now { throw Failure.late }
            }
            switch try chunk.withUnsafeMutableBytes({ try readBytes(from: socket.number, into: $0) }) {
            case .wouldBlock: continue
            case .end: throw Failure.closed
            case .bytes(let count): rest += chunk[..<count]
            }
        }
    }
}

extension JSONValue {
    /// A request.
    static func order(_ command: String, _ members: [JSONValue.Member] = []) -> JSONValue {
        .object([Member("command", .string(ForeignText(command)))] + members)
    }
}
