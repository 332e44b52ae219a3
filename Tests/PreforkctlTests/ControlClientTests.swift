// A client of the control socket whom a crowd keeps out.

import PreforkSupervisor
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import preforkctl

@Suite struct ControlClientTests {
    /// Connects `ask` to a listener that closes the first connections unheard and answers the next one.
    private func ask(turnedAway times: Int) throws -> (answer: JSONValue, connections: Int) {
        let path = try temporaryPath()
        let listener = try Listener(.unix(path))
        defer { listener.close() }
        var connections = 0
        var served: Int32?
        defer { served.map { closeDescriptor($0) } }
        let answer = try ControlClient.ask(.order("status")) {
            let client = try ControlClient(path)
            connections += 1
            let (socket, _) = try #require(try Socket.accept(listener.descriptor))
            if connections <= times {
                closeDescriptor(socket)
            } else {
                served = socket
                _ = try Array(#"{"ok":true,"message":"here"}"#.utf8 + [10]).withUnsafeBytes {
                    try sendBytes(to: socket, $0)
                }
            }
            return client
        }
        return (answer, connections)
    }

    @Test func `A client that was turned away before its request left comes again`() throws {
        let (answer, connections) = try ask(turnedAway: 3)
        #expect(answer["message"]?.string?.unescaped == "here")
        #expect(connections == 4)
    }

    @Test func `It does not come for ever`() {
        #expect(throws: ControlClientError.turnedAway) { try ask(turnedAway: 100) }
    }
}
