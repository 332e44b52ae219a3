// `metrics-fixture` and its page, as tests use them.

import Glibc
import PreforkSystem
import PreforkTestSupport

/// A pool whose workers count what they are told to.
final class MeteredProgram {
    let program: ChildProgram
    let port: UInt16
    /// Of the metrics.
    let socket: String
    let switches: String

    init(
        _ arguments: [String] = [], environment: [String: String] = [:], preparation: String? = nil
    ) async throws {
        socket = try temporaryPath()
        switches = try temporaryPath()
        mkdir(switches, 0o700)
        program = try ChildProgram(
            "metrics-fixture", ["serve", "switches=\(switches)"] + arguments,
            environment: environment.merging(["PREFORK_METRICS": socket]) { own, _ in own }, preparation: preparation)
        let line = try await program.waitForLine("port ")
        port = UInt16(line.split(separator: " ").first?.split(separator: ":").last ?? "") ?? 0
        try await waitForLog("all workers are ready") {
            $0.contains("workers are ready") || $0.contains("worker is ready")
        }
    }

    deinit {
        program.killGroup()
        for name in entries(switches) { unlink("\(switches)/\(name)") }
        rmdir(switches)
        unlink(socket)
        unlink(socket + ".lock")
    }

    func waitForLog(_ what: String, _ condition: (String) -> Bool) async throws {
        try await eventually("the log says: \(what)\n\(program.errors)") { condition(program.errors) }
    }

    func turnOn(_ name: String) { close(open("\(switches)/\(name)", O_CREAT | O_WRONLY, 0o600)) }
    func turnOff(_ name: String) { unlink("\(switches)/\(name)") }

    /// Gives an order to any worker.
    ///
    /// - Returns: the worker's process ID.
    @discardableResult
    func order(_ line: String) throws -> Int32 {
        let client = try Client(port: port)
        try client.send(line + "\n")
        var answer: [UInt8] = []
        while answer.last != UInt8(ascii: "\n") {
            let bytes = try client.receive()
            guard !bytes.isEmpty else { throw ClientError.strange("the end after \(line)") }
            answer += bytes
        }
        return Int32(String(decoding: answer.dropLast(), as: UTF8.self)) ?? 0
    }

    /// The page's lines.
    func page(accept: String = "*/*") throws -> [String] {
        let address = SocketAddress.unix(path: socket)
        let socket = Descriptor(owning: try Socket.open(for: address))
        try Socket.connect(socket.number, to: address)
        let request = "GET /metrics HTTP/1.1\r\nHost: a\r\nAccept: \(accept)\r\nConnection: close\r\n\r\n"
        _ = try Array(request.utf8).withUnsafeBytes { try sendBytes(to: socket.number, $0) }
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = buffer.withUnsafeMutableBytes { recv(socket.number, $0.baseAddress, $0.count, 0) }
            if count == 0 { break }
            if count < 0 {
                guard errno == EAGAIN || errno == EINTR else { throw ClientError.strange("recv: \(errno)") }
                _ = try Polling.waitUntilReadable([socket.number], until: .now + .seconds(10))
                continue
            }
            answer += buffer[..<count]
        }
        return String(decoding: answer, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    func value(_ name: String) throws -> Double? {
        try page().first { $0.hasPrefix("\(name) ") }.flatMap { Double($0.dropFirst(name.count + 1)) }
    }

    /// Orders `inc` that were counted.
    var requests: Double { get throws { try value(Self.requestsName) ?? -1 } }

    static let requestsName = #"fixture_requests_total{a="x\"y\\z"}"#

    func end() async throws -> Bool {
        program.send(.terminate)
        return try await program.waitForExit(within: .seconds(40)) == 0 && program.groupSize == 0
    }
}
