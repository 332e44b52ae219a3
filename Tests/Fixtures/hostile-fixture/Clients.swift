// Clients that never stop asking: what the honest workers answered, and what was lost.

import PreforkFixtureSupport
import PreforkSystem
import Synchronization

/// What clients have seen so far.
struct Tally {
    var answered = 0
    /// By operation and error, without what was `ok`.
    var errors: [String: Int] = [:]
    var lost: [String: Int] = [:]
    /// The longest operation within a worker, in milliseconds, by name.
    var longest: [String: Double] = [:]

    mutating func count(_ answer: String) {
        answered += 1
        let words = answer.split(separator: " ")
        guard words.count >= 6 else { return lost["strange answer", default: 0] += 1 }
        if words[4] != "ok" { errors["\(words[3]) \(words[4])", default: 0] += 1 }
        let name = String(words[3])
        longest[name] = max(longest[name] ?? 0, (Double(words[5]) ?? 0) / 1e3)
    }

    mutating func add(_ other: Tally) {
        answered += other.answered
        errors.merge(other.errors, uniquingKeysWith: +)
        lost.merge(other.lost, uniquingKeysWith: +)
        longest.merge(other.longest, uniquingKeysWith: max)
    }
}

/// Threads of the judge, which has no reason to fork.
final class Clients: Sendable {
    private let tally = Mutex(Tally())
    private let stops = Mutex(false)
    private let running = Mutex(0)

    init(port: UInt16) throws {
        for index in 0..<3 {
            running.withLock { $0 += 1 }
            try startThread { [self] in
                while !stops.withLock({ $0 }) { session(port, requests: index == 0 ? 1 : 200) }
                running.withLock { $0 -= 1 }
            }
        }
    }

    func stop() -> Tally {
        stops.withLock { $0 = true }
        until { running.withLock { $0 } == 0 }
        return tally.withLock { $0 }
    }

    private func session(_ port: UInt16, requests: Int) {
        guard let connection = HTTPConnection(.ipv4(0x7F00_0001, port: port), timeout: 3) else {
            usleep(5_000)
            return lost("connect")
        }
        for _ in 0..<requests {
            if stops.withLock({ $0 }) { return }
            switch connection.get("/") {
            case .answer(let body, let isLast):
                tally.withLock { $0.count(body) }
                if isLast { return }
            case .closed: return lost("reset")
            case .silent: return lost("no answer within 3 s")
            }
            usleep(2_000)
        }
    }

    private func lost(_ what: String) { tally.withLock { $0.lost[what, default: 0] += 1 } }
}

/// A connection with a blocking socket.
final class HTTPConnection {
    private let socket: Int32

    enum Outcome {
        case answer(String, isLast: Bool)
        case closed, silent
    }

    init?(_ address: SocketAddress, timeout seconds: Int) {
        let family = if case .unix = address { AF_UNIX } else { AF_INET }
        socket = Glibc.socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var limit = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        guard address.withSockaddr({ connect(socket, $0, $1) }) == 0 else {
            close(socket)
            return nil
        }
    }

    deinit { close(socket) }

    func get(_ path: String) -> Outcome {
        let request = "GET \(path) HTTP/1.1\r\nHost: x\r\n\r\n"
        let count = request.utf8.count
        guard send(socket, request, count, Int32(MSG_NOSIGNAL)) == count else { return .closed }
        var text = ""
        var bytes = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = recv(socket, &bytes, bytes.count, 0)
            if count < 0, errno == EAGAIN { return .silent }
            guard count > 0 else { return .closed }
            text += String(decoding: bytes[..<count], as: UTF8.self)
            // Head and body are short, and sent together.
            guard let end = text.firstRange(of: "\r\n\r\n") else { continue }
            return .answer(String(text[end.upperBound...]), isLast: text.contains("Connection: close"))
        }
    }
}
