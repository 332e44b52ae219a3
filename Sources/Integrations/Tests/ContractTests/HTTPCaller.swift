// An HTTP/1.1 client with blocking sockets: what it sees is what a client sees.

import Dispatch
import Glibc

struct CallError: Error, CustomStringConvertible {
    let description: String
}

/// A client that heeds `Connection: close`.
///
/// What counts as failed: a refused connection, a reset, a connection that ends within an answer or, when it is new,
/// before one, and any status but 200. A kept connection that the server has ended in order (FIN, no byte of an answer)
/// between two requests is not: RFC 9112, 9.3.1 lets a client ask again on a new one. Such ends are counted.
final class HTTPCaller: Caller, @unchecked Sendable {
    // Sendable: everything that changes is touched on `queue` alone.
    private let port: UInt16
    private let keepsConnection: Bool
    private let queue = DispatchQueue(label: "caller")
    private var socket: Int32 = -1

    init(port: UInt16, keepsConnection: Bool) {
        self.port = port
        self.keepsConnection = keepsConnection
    }

    deinit {
        if socket >= 0 { Glibc.close(socket) }
    }

    func ask(_ question: Question) async throws -> String {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Result { try self.request(question.rawValue) }) }
        }
    }

    func close() async {
        await withCheckedContinuation { continuation in
            queue.async {
                self.hangUp()
                continuation.resume()
            }
        }
    }

    private func request(_ target: String) throws -> String {
        let isNew = socket < 0
        if isNew { try connect() }
        do {
            let header = keepsConnection ? "" : "Connection: close\r\n"
            try send(Array("GET \(target) HTTP/1.1\r\nHost: test\r\n\(header)\r\n".utf8))
            guard let response = try response() else {
                hangUp()
                if isNew { throw CallError(description: "a new connection ended without an answer") }
                return try request(target)
            }
            if response.closes || !keepsConnection { hangUp() }
            guard response.status == 200 else { throw CallError(description: "status \(response.status)") }
            return response.body
        } catch {
            hangUp()
            throw CallError(description: "\(isNew ? "new" : "kept") connection: \(error)")
        }
    }

    private func connect() throws {
        socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard code == 0 else {
            let reason = errno
            hangUp()
            throw CallError(description: "connect: errno \(reason)")
        }
    }

    private func hangUp() {
        if socket >= 0 { Glibc.close(socket) }
        socket = -1
    }

    private func send(_ bytes: [UInt8]) throws {
        let count = Glibc.send(socket, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        guard count == bytes.count else { throw CallError(description: "send: errno \(errno)") }
    }

    /// The next response, or nil if the server has closed before its first byte.
    private func response() throws -> (status: Int, body: String, closes: Bool)? {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while true {
            if let response = parse(String(decoding: bytes, as: UTF8.self)) { return response }
            let count = recv(socket, &chunk, chunk.count, 0)
            guard count >= 0 else { throw CallError(description: "recv: errno \(errno) after \(bytes.count) bytes") }
            if count == 0 {
                if bytes.isEmpty { return nil }
                throw CallError(description: "the server closed after \(bytes.count) bytes")
            }
            bytes += chunk[..<count]
        }
    }

    private func parse(_ text: String) -> (status: Int, body: String, closes: Bool)? {
        let lines = text.split(separator: "\r\n", omittingEmptySubsequences: false)
        guard let empty = lines.firstIndex(of: ""), empty < lines.count - 1 else { return nil }
        func header(_ name: String) -> Substring? {
            lines[1..<empty].first { $0.lowercased().hasPrefix(name + ":") }?.dropFirst(name.count + 1)
        }
        let length = header("content-length").flatMap { Int($0.trimmingPrefix(" ")) } ?? 0
        let body = lines[(empty + 1)...].joined(separator: "\r\n")
        guard body.utf8.count >= length else { return nil }
        let status = Int(lines[0].split(separator: " ").dropFirst().first ?? "") ?? 0
        return (status, body, header("connection")?.lowercased().contains("close") ?? false)
    }
}
