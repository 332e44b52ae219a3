// A connection that shows each byte of a response.

import Dispatch
import Glibc

/// A response: what both servers must have in common.
struct RawAnswer: Equatable, CustomStringConvertible {
    /// The first line. The names of 413 and 418 are left out: SwiftNIO has others than RFC 9110.
    let status: String
    /// Sorted, names in lower case, without Date.
    let fields: [String]
    /// As it was sent, with the lines of chunks and trailers.
    let body: [UInt8]

    var description: String {
        let begin = String(decoding: body.prefix(600), as: UTF8.self)
        return "\(status)\n\(fields.joined(separator: "\n"))\n\n\(begin.debugDescription)"
    }
}

/// One blocking connection.
final class RawConnection {
    private let socket: Int32
    private var buffer: [UInt8] = []

    init(port: UInt16) throws {
        socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard code == 0 else { throw CallError(description: "connect: errno \(errno)") }
    }

    deinit { close(socket) }

    func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let rest = Array(bytes[sent...])
            let count = Glibc.send(socket, rest, rest.count, Int32(MSG_NOSIGNAL))
            guard count > 0 else { throw CallError(description: "send: errno \(errno)") }
            sent += count
        }
    }

    /// - Parameter toHead: there is no body, whatever the fields say.
    func answer(toHead isHead: Bool) throws -> RawAnswer {
        let lines = try head()
        let status = lines.first ?? ""
        let fields = lines.dropFirst().map { line -> (name: String, value: String) in
            let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            return (parts[0].lowercased(), parts.count > 1 ? String(parts[1].trimmingPrefix(" ")) : "none")
        }
        func value(_ name: String) -> String? { fields.first { $0.name == name }?.value }
        var body: [UInt8] = []
        let code = Int(status.split(separator: " ").dropFirst().first ?? "") ?? 0
        if !isHead, code != 204, code != 304 {
            if value("transfer-encoding") == "chunked" {
                body = try chunks()
            } else if let length = value("content-length").flatMap({ Int($0) }) {
                body = try take(length)
            }
        }
        let isNamedOtherwise = [413, 418].contains(code)
        return RawAnswer(
            status: isNamedOtherwise ? "HTTP/1.1 \(code)" : status,
            fields: fields.filter { $0.name != "date" }.map { "\($0.name): \($0.value)" }.sorted(), body: body)
    }

    /// What has come when `count` events have.
    func begin(of count: Int) throws -> String {
        while String(decoding: buffer, as: UTF8.self).split(separator: "data: ").count <= count { try fill() }
        return String(decoding: buffer, as: UTF8.self)
    }

    private func head() throws -> [String] {
        var lines: [String] = []
        while true {
            let line = try line()
            if line.count == 2 { return lines }
            lines.append(String(decoding: line.dropLast(2), as: UTF8.self))
        }
    }

    private func chunks() throws -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            let size = try line()
            bytes += size
            guard let count = Int(String(decoding: size.dropLast(2), as: UTF8.self), radix: 16) else {
                throw CallError(description: "no size of a chunk: \(size)")
            }
            if count > 0 {
                bytes += try take(count + 2)
                continue
            }
            while true {
                let trailer = try line()
                bytes += trailer
                if trailer.count == 2 { return bytes }
            }
        }
    }

    private func line() throws -> [UInt8] {
        while true {
            if let end = buffer.firstIndex(of: 10) { return try take(end + 1) }
            try fill()
        }
    }

    private func take(_ count: Int) throws -> [UInt8] {
        while buffer.count < count { try fill() }
        let taken = Array(buffer[..<count])
        buffer.removeFirst(count)
        return taken
    }

    private func fill() throws {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        let count = recv(socket, &chunk, chunk.count, 0)
        guard count > 0 else { throw CallError(description: "recv: \(count), errno \(errno), \(buffer.count) bytes") }
        buffer += chunk[..<count]
    }
}

/// Runs what blocks on a thread that may.
func blocking<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
        DispatchQueue.global().async { continuation.resume(with: Swift.Result { try body() }) }
    }
}
