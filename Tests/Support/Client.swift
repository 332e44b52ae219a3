// An HTTP client as small as it gets, with blocking sockets: what it sees is what a client sees.

import Glibc
import PreforkSystem

public struct ClientError: Error, CustomStringConvertible {
    public let description: String
}

/// One connection to a server under test.
public final class Client: @unchecked Sendable {
    // Sendable: one test task at a time uses it.
    public let socket: Int32

    public init(port: UInt16, timeout seconds: Int = 20) throws {
        socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var limit = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        let address = SocketAddress.ipv4(0x7F00_0001, port: port)
        guard address.withSockaddr({ connect(socket, $0, $1) }) == 0 else {
            // deinit runs: the socket is closed there, once.
            throw ClientError(description: "connect: errno \(errno)")
        }
    }

    deinit {
        close(socket)
    }

    public func send(_ text: String) throws {
        try send(Array(text.utf8))
    }

    public func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(socket, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw ClientError(description: "send: errno \(errno)") }
            sent += count
        }
    }

    public func finishSending() {
        shutdown(socket, Int32(SHUT_WR))
    }

    /// Whatever comes next. Empty at the end.
    ///
    /// - Parameter most: at most so many bytes.
    public func receive(_ most: Int = 65_536) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: most)
        let count = recv(socket, &bytes, bytes.count, 0)
        guard count >= 0 else { throw ClientError(description: "recv: errno \(errno)") }
        return Array(bytes[..<count])
    }

    /// Whether `receive` returns at once: a test that waits for long keeps a thread from all others.
    public var hasInput: Bool {
        var waiting = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        return poll(&waiting, 1, 0) == 1
    }

    /// Everything until the server closes.
    public func receiveAll() throws -> String {
        var all: [UInt8] = []
        while case let more = try receive(), !more.isEmpty { all += more }
        return String(decoding: all, as: UTF8.self)
    }

    private var unread: [UInt8] = []

    /// The next response: status and body.
    public func response() throws -> (status: Int, body: String) {
        while true {
            let text = String(decoding: unread, as: UTF8.self)
            if let (status, length, head) = parseHead(text), unread.count >= head + length {
                let body = String(decoding: unread[head..<head + length], as: UTF8.self)
                unread.removeFirst(head + length)
                return (status, body)
            }
            let more = try receive()
            guard !more.isEmpty else { throw ClientError(description: "the server closed after \(unread.count) bytes") }
            unread += more
        }
    }

    public func get(_ target: String) throws -> (status: Int, body: String) {
        try send("GET \(target) HTTP/1.1\r\nHost: test\r\n\r\n")
        return try response()
    }

    private func parseHead(_ text: String) -> (status: Int, length: Int, head: Int)? {
        let lines = text.split(separator: "\r\n", omittingEmptySubsequences: false)
        guard let empty = lines.firstIndex(of: ""), empty < lines.count - 1 else { return nil }
        let status = Int(lines[0].split(separator: " ").dropFirst().first ?? "") ?? 0
        let length = lines[1..<empty].lazy
            .map { $0.lowercased() }.first { $0.hasPrefix("content-length:") }
            .flatMap { Int($0.dropFirst(15).trimmingPrefix(" ")) }
        return (status, length ?? 0, lines[..<empty].reduce(2) { $0 + $1.utf8.count + 2 })
    }
}

/// One request on a connection of its own.
public func get(_ target: String, port: UInt16) throws -> (status: Int, body: String) {
    try Client(port: port).get(target)
}
