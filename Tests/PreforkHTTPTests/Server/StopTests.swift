// What clients meet that come while a service ends.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct StopTests {
    private func server(_ arguments: [String] = []) async throws -> (program: ChildProgram, port: UInt16) {
        let program = try ChildProgram("http-fixture", ["2"] + arguments, environment: ["PREFORK_DRAIN_TIMEOUT": "1h"])
        return (program, try #require(UInt16(try await program.waitForLine("port "))))
    }

    /// What a blocking connect(2) fails with, or nil.
    private func refusal(_ address: SocketAddress) -> Int32? {
        let family = if case .unix = address { AF_UNIX } else { AF_INET }
        let socket = Descriptor(owning: socket(family, Int32(SOCK_STREAM.rawValue), 0))
        return address.withSockaddr { connect(socket.number, $0, $1) } == 0 ? nil : errno
    }

    /// - Returns: a client whose response is not taken before the test reads it.
    private func stopWithRequestInHand(_ program: ChildProgram, _ port: UInt16) async throws -> Client {
        let client = try Client(port: port)
        try client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        try await eventually("the request is in hand") { client.hasInput }
        program.send(.terminate)
        return client
    }

    /// They waited in the queue until the last request was answered, and were reset then.
    @Test func aClientThatComesTooLateIsRefusedAtOnce() async throws {
        let path = try temporaryPath()
        let (program, port) = try await server(["http=unix:\(path)"])
        let client = try await stopWithRequestInHand(program, port)
        let (tcp, unix) = (SocketAddress.ipv4(0x7F00_0001, port: port), SocketAddress.unix(path: path))
        try await eventually("new clients are refused") {
            refusal(tcp) == ECONNREFUSED && [ENOENT, ECONNREFUSED].contains(refusal(unix))
        }
        #expect(program.groupSize > 1, "the worker drains")
        var received = 0
        while case let count = try client.receive().count, count > 0 { received += count }
        #expect(received > 64 << 20)
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
        #expect(program.groupSize == 0 && access(path, F_OK) != 0)
    }

    /// Another one takes the place at once, though the first still has a request in hand.
    @Test func theNextServiceCanBindWhileThisOneDrains() async throws {
        let path = try temporaryPath()
        let (first, port) = try await server(["http=unix:\(path)"])
        let client = try await stopWithRequestInHand(first, port)
        try await eventually("the path is free") { access(path, F_OK) != 0 }
        let (second, _) = try await server(["http=unix:\(path)"])
        while try client.receive().count > 0 {}
        #expect(try await first.waitForExit() == 0, "\(first.errors)")
        #expect(refusal(.unix(path: path)) == nil, "the first has left the second's path alone")
        second.send(.terminate)
        #expect(try await second.waitForExit() == 0)
    }
}
