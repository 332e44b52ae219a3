// The client's end of the control socket, for tools: it waits, which a supervisor must not.

package import PreforkSystem

/// Why there is no answer, besides a failed call.
package enum ControlClientError: Error, Equatable, CustomStringConvertible {
    /// The supervisor said no, and why.
    case refused(String)
    case closedWithoutAnswer
    /// The time that the answer had is over.
    case noAnswerInTime

    package var description: String {
        switch self {
        case .refused(let reason): reason
        case .closedWithoutAnswer: "the supervisor closed the connection without an answer"
        case .noAnswerInTime: "the supervisor gave no answer in time"
        }
    }
}

/// A connection to a supervisor's control socket; see `ControlServer` for what is spoken.
package final class ControlClient {
    private let socket: Descriptor

    /// - Throws: `SystemError`: ENOENT or ECONNREFUSED where no supervisor is.
    package init(_ path: String) throws {
        socket = Descriptor(owning: try Socket.open(for: .unix(path: path)))
        // A full accept queue is EAGAIN on a Unix socket (connect(2)): a moment later there is room.
        for _ in 0..<50 {
            if try connect(path) { return }
            _ = try Polling.waitUntilReadable([], until: .now + .milliseconds(20))
        }
        throw SystemError("connect", .again, on: path)
    }

    /// The process that listens there.
    func peer() throws(SystemError) -> Int32 { try PeerCredentials(of: socket.number).pid }

    private func connect(_ path: String) throws(SystemError) -> Bool {
        do throws(SystemError) {
            try Socket.connect(socket.number, to: .unix(path: path))
            return true
        } catch {
            guard error.errno == .again else { throw error }
            return false
        }
    }

    /// Sends one request and waits for its answer.
    ///
    /// - Parameter deadline: nil waits for ever. After `.noAnswerInTime` the connection is of no more use.
    package func ask(_ request: JSONValue, until deadline: MonotonicInstant? = nil) throws -> JSONValue {
        // At most a path in it: far less than what an empty socket takes.
        _ = try (request.text + [UInt8(ascii: "\n")]).withUnsafeBytes { try sendBytes(to: socket.number, $0) }
        let answer = try JSONParser.parse(try line(until: deadline), sizeLimit: 1 << 26)
        guard answer["ok"] == .bool(true) else {
            throw ControlClientError.refused(answer["error"]?.string ?? "refused without a reason")
        }
        return answer
    }

    private func line(until deadline: MonotonicInstant?) throws -> [UInt8] {
        var line: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            guard try Polling.waitUntilReadable([socket.number], until: deadline) else {
                throw ControlClientError.noAnswerInTime
            }
            switch try chunk.withUnsafeMutableBytes({ try readBytes(from: socket.number, into: $0) }) {
            case .wouldBlock: continue
            case .end: throw ControlClientError.closedWithoutAnswer
            case .bytes(let count):
                if let end = chunk[..<count].firstIndex(of: UInt8(ascii: "\n")) { return line + chunk[..<end] }
                line += chunk[..<count]
            }
        }
    }
}

extension JSONValue {
    /// A request.
    package static func order(_ command: String, _ members: [JSONValue.Member] = []) -> JSONValue {
        .object([Member("command", .string(command))] + members)
    }
}
