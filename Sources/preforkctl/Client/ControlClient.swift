// The client's end of the control socket.

import PreforkSupervisor
import PreforkSystem

/// Why there is no answer, besides a failed call.
enum ControlClientError: Error, Equatable, CustomStringConvertible {
    /// The supervisor said no, and why.
    case refused(ForeignText)
    /// Nothing listens at the path: there is no socket, or its supervisor has ended.
    case noSupervisor(path: String, Errno)
    case closedWithoutAnswer
    /// What comes is no answer of a supervisor: a line that has no end, or parts that do not belong together.
    case unbelievable(String)
    /// The time that the answer had is over.
    case noAnswerInTime
    /// The supervisor gave the client's place to another one before it had sent anything. Nothing was carried out.
    case turnedAway

    var description: String {
        switch self {
        case .refused(let reason): reason.escaped(for: .terminal)
        case .noSupervisor(let path, let errno): Self.advice(ForeignText(path).escaped(for: .terminal), errno)
        case .unbelievable(let what): "not a supervisor's answer: \(what)"
        case .closedWithoutAnswer: "the supervisor closed the connection without an answer"
        case .noAnswerInTime: "the supervisor did not answer in time"
        case .turnedAway: "the supervisor has too many clients"
        }
    }

    private static func advice(_ path: String, _ errno: Errno) -> String {
        "no supervisor answers at \(path) (\(errno.name)): was it started with PREFORK_CONTROL=\(path)?"
    }
}

/// A connection to a supervisor's control socket. `ControlServer` describes the protocol.
///
/// Any user may own the path: what is read has limits, and `stranger` names the owner.
final class ControlClient {
    private let socket: Descriptor
    /// What was read beyond the last line.
    private var rest: [UInt8] = []

    /// - Throws: `ControlClientError.noSupervisor` for ENOENT and ECONNREFUSED. `SystemError`, as EACCES.
    init(_ path: String) throws {
        socket = Descriptor(owning: try Socket.open(for: .unix(path: path)))
        // A full accept queue is EAGAIN on a Unix socket (connect(2)): a moment later there is room.
        for _ in 0..<50 {
            if try connect(path) {
                // By SO_PEERCRED: for a listening socket, the process that called listen(2) (unix(7)).
                server = try PeerCredentials(of: socket.number)
                return
            }
            _ = try Polling.waitUntilReadable([], until: .now + .milliseconds(20))
        }
        throw SystemError("connect", .again, on: path)
    }

    /// The process that listens there.
    func peer() throws(SystemError) -> Int32 { try PeerCredentials(of: socket.number).pid }

    private func connect(_ path: String) throws -> Bool {
        do throws(SystemError) {
            try Socket.connect(socket.number, to: .unix(path: path))
            return true
        } catch {
            switch error.errno {
            case .again: return false
            case .noEntry, .connectionRefused: throw ControlClientError.noSupervisor(path: path, error.errno)
            default: throw error
            }
        }
    }

    /// The process that listens at the path, as the kernel says.
    private var server: PeerCredentials?

    /// The user that serves the socket, if it is neither root nor the caller. Every answer is only that user's word.
    var stranger: UInt32? { server.flatMap { $0.isOwnUserOrRoot ? nil : $0.user } }

    /// Sends one request and waits for its answer.
    ///
    /// - Parameter deadline: nil waits without a limit. After `.noAnswerInTime` the connection cannot be used any more.
    func ask(_ request: JSONValue, until deadline: MonotonicInstant? = nil) throws -> JSONValue {
        // At most a path in it: far less than what an empty socket takes.
        do {
            _ = try (request.text + [UInt8(ascii: "\n")]).withUnsafeBytes { try sendBytes(to: socket.number, $0) }
        } catch let error as SystemError where error.errno == .brokenPipe || error.errno == .connectionReset {
            throw ControlClientError.turnedAway
        }
        let answer = try answer(until: deadline)
        guard answer["ok"] == .bool(true) else {
            throw ControlClientError.refused(answer["error"]?.string ?? "refused without a reason")
        }
        return answer
    }

    /// Asks the supervisor to stop.
    ///
    /// - Parameter waits: until its process has ended. Where that process cannot be seen from here, as from another PID
    ///   namespace, until it has closed this connection.
    /// - Returns: what it said, or that it has ended.
    func stop(_ request: JSONValue, andWaits waits: Bool) throws -> ForeignText {
        // Before the request: afterwards, another process may have its number.
        var process: Descriptor?
        if waits, let identity = ProcessIdentity(of: try peer()) {
            do throws(SystemError) { process = try identity.openPidfd() } catch { process = nil }
        }
        let message = try ask(request)["message"]?.string ?? ForeignText("stopping")
        if !waits { return message }
        _ = try Polling.waitUntilReadable([process?.number ?? socket.number], until: nil)
        return ForeignText("the supervisor has ended")
    }

    /// Connects and asks. If other clients crowd it out before its request has left, it tries again, up to ten times in
    /// all.
    static func ask(_ request: JSONValue, by connect: () throws -> ControlClient) throws -> JSONValue {
        for _ in 1..<10 {
            do { return try connect().ask(request) } catch ControlClientError.turnedAway {}
        }
        return try connect().ask(request)
    }

    /// One answer, put together if it comes in parts. See `AnswerParts`.
    private func answer(until deadline: MonotonicInstant?) throws -> JSONValue {
        let first = try JSONParser.parse(try line(until: deadline), sizeLimit: AnswerParts.lineLimit)
        guard let count = first["parts"]?.integer else { return first }
        guard (1...AnswerParts.mostParts).contains(count) else {
            throw ControlClientError.unbelievable("an answer of \(count) parts")
        }
        var text: [UInt8] = []
        var part = first
        for number in 1...count {
            if number > 1 { part = try JSONParser.parse(try line(until: deadline), sizeLimit: AnswerParts.lineLimit) }
            guard part["part"]?.integer == number, part["parts"]?.integer == count,
                let piece = part["text"]?.string?.unescaped
            else { throw ControlClientError.unbelievable("its parts do not belong together") }
            text += piece.utf8
        }
        return try JSONParser.parse(text, sizeLimit: AnswerParts.lineLimit * Int(AnswerParts.mostParts))
    }

    private func line(until deadline: MonotonicInstant?) throws -> [UInt8] {
        var line = rest
        rest = []
        if let end = line.firstIndex(of: UInt8(ascii: "\n")) {
            rest = Array(line[(end + 1)...])
            return Array(line[..<end])
        }
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            guard line.count <= AnswerParts.lineLimit else {
                throw ControlClientError.unbelievable("a line of more than \(AnswerParts.lineLimit) bytes")
            }
            guard try Polling.waitUntilReadable([socket.number], until: deadline) else {
                throw ControlClientError.noAnswerInTime
            }
            switch try chunk.withUnsafeMutableBytes({ try readBytes(from: socket.number, into: $0) }) {
            case .wouldBlock: continue
            case .end: throw ControlClientError.closedWithoutAnswer
            case .bytes(let count):
                if let end = chunk[..<count].firstIndex(of: UInt8(ascii: "\n")) {
                    rest = Array(chunk[(end + 1)..<count])
                    return line + chunk[..<end]
                }
                line += chunk[..<count]
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
