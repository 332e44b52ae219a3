// One connection of the hello server.

import Glibc
import Prefork

/// Answers the requests of one connection.
struct HelloHandler {
    let worker: Worker
    let connection: Connection
    private var parser = RequestParser()
    private var responses = ResponseBuffer()

    init(worker: Worker, connection: Connection) {
        self.worker = worker
        self.connection = connection
    }

    mutating func serve() async throws {
        let reader = connection.reader
        while try await reader.waitForMessage() {
            var isComplete = false
            while !isComplete {
                switch reader.withBufferedBytes({ parser.next(in: $0) }) {
                case .request(let request):
                    guard try await answer(request) else { return }
                    isComplete = reader.bufferedCount == 0
                case .incomplete:
                    try await flush()
                    guard try await reader.fill() else { return }
                case .failure(let status):
                    responses.append(status, status.rawValue + "\n", keepAlive: false)
                    try await flush()
                    return try await connection.closeGently()
                }
            }
            try await flush()
        }
    }

    /// - Returns: false if the connection must end.
    private mutating func answer(_ request: Request) async throws -> Bool {
        connection.reader.consume(request.headLength)
        guard try await skipBody(request.bodyLength) else { return false }
        // Not by `worker.request`: this function is asynchronous already, and each further one costs as much as the mark.
        let mark = begin(request)
        defer { try? mark.get()?.end() }
        var (status, body) = (Status.unavailable, "requests of this path are refused for a while\n")
        if case .success = mark { (status, body) = try await route(request) }
        worker.countRequest()
        // Asked after the work: a stop may have come meanwhile.
        let keepAlive = request.keepAlive && !connection.isDraining
        responses.append(
            status, body, retryAfter: mark.retryAfter, withBody: request.method != .head, keepAlive: keepAlive)
        if responses.bytes.count > 64 * 1024 { try await flush() }
        if !keepAlive {
            try await flush()
            if connection.reader.bufferedCount > 0 { try await connection.closeGently() }
        }
        return keepAlive
    }

    /// Reports of crashes and hangs name the request by its path. One in quarantine is not begun.
    private func begin(_ request: Request) -> Result<RequestMark?, RequestError> {
        #if PREFORK_WITHOUT_MARKS
            .success(nil)
        #else
            Result { () throws(RequestError) in try worker.beginRequest(request.target) }
        #endif
    }

    private mutating func route(_ request: Request) async throws -> (Status, String) {
        guard request.method != .other else { return (.methodNotAllowed, "only GET and HEAD\n") }
        if request.target == "/" { return (.ok, "Hello World") }
        let parts = request.target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let query = parts.count > 1 ? parts[1] : ""
        switch parts[0] {
        case "/": return (.ok, "Hello World")
        case "/pid": return (.ok, "\(getpid())")
        case "/task": return (.ok, "\(worker.taskID)")
        case "/slow":
            guard let milliseconds = number("ms", in: query, range: 0...3_600_000) else {
                return (.badRequest, "use /slow?ms=N\n")
            }
            try await flush()
            try await EventLoop.sleep(for: .milliseconds(milliseconds))
            return (.ok, "slept \(milliseconds) ms")
        case "/exit":
            guard let code = number("code", in: query, range: 0...255) else {
                return (.badRequest, "use /exit?code=N\n")
            }
            responses.append(.ok, "exiting with code \(code)", keepAlive: false)
            try await flush()
            worker.exit(code: Int32(code))
        default: return (.notFound, "not found\n")
        }
    }

    private func number(_ name: String, in query: Substring, range: ClosedRange<Int>) -> Int? {
        for pair in query.split(separator: "&") where pair.hasPrefix("\(name)=") {
            guard let number = Int(pair.dropFirst(name.count + 1)), range.contains(number) else { return nil }
            return number
        }
        return nil
    }

    /// - Returns: false when the connection ended first.
    private mutating func skipBody(_ length: Int) async throws -> Bool {
        var rest = length
        while rest > 0 {
            let count = min(rest, connection.reader.bufferedCount)
            connection.reader.consume(count)
            rest -= count
            if rest > 0 {
                try await flush()
                guard try await connection.reader.fill() else { return false }
            }
        }
        return true
    }

    private mutating func flush() async throws {
        guard !responses.bytes.isEmpty else { return }
        try await connection.writer.write(responses.bytes)
        responses.removeAll()
    }
}

extension Result<RequestMark?, RequestError> {
    /// In seconds. If nil, the request was begun.
    fileprivate var retryAfter: Int? {
        guard case .failure(let error) = self else { return nil }
        // What an operator refuses has no end: a minute is a guess.
        return error.retryAfter.map { Int(clamping: $0.components.seconds &+ 1) } ?? 60
    }
}
