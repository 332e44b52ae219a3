// Servers whose listener another process spoils.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkEventLoop

@Suite(.timeLimit(.minutes(2))) struct SpoiledListenerTests {
    /// A sibling has the same open file: here a thread of this process takes its place.
    private func serve(spoiledBy spoil: @escaping @Sendable (Int32) -> Void) async throws {
        let listener = try Listener(.tcp("127.0.0.1", 0))
        let reports = Calls()
        try await onOwnLoop {
            let loop = EventLoop.current!
            async let serving: Void = listener.serve(
                report: { if case .listenerRepaired = $0 { reports.add() } },
                { connection in
                    let line = try await connection.reader.read(until: "\n", limit: 100)
                    try await connection.writer.write(line)
                })
            for _ in 0..<20 {
                spoil(listener.descriptor)
                // One that came into a queue that was thrown away, or between two, is reset.
                try await eventually("a client is served") {
                    guard let connection = try? await Connection.connect(to: listener.address) else { return false }
                    defer { connection.close() }
                    do {
                        try await connection.writer.write("hello\n")
                        let answer = try await withTimeout(.seconds(5)) {
                            try await connection.reader.read(until: "\n", limit: 100)
                        }
                        return text(answer) == "hello\n"
                    } catch {
                        return false
                    }
                }
            }
            loop.stopRequest.request()
            try await serving
        }
        #expect(reports.count == 1)
        listener.close()
    }

    @Test func aBlockingListenerIsServedOn() async throws {
        try await serve { _ = fcntl($0, F_SETFL, 0) }
    }

    @Test func aListenerThatWasShutDownIsServedOn() async throws {
        try await serve { _ = shutdown($0, Int32(SHUT_RD)) }
    }

    /// A TCP socket that was connected says EINVAL to listen(2) for ever, also when its peer is gone.
    @Test func aListenerThatWasConnectedToSomebodyIsServedOn() async throws {
        let other = try Listener(.tcp("127.0.0.1", 0))
        try await serve { number in
            shutdown(number, Int32(SHUT_RDWR))
            try? Socket.connect(number, to: other.address)
        }
        other.close()
    }
}
