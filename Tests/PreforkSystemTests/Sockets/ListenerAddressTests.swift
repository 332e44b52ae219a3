// Addresses to listen on as text. Invalid ones are in the table of parameters.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct ListenerAddressTests {
    @Test(arguments: ["127.0.0.1:0", "localhost:0", "0.0.0.0:0"])
    func aHostAndAPortAreTCP(_ text: String) throws {
        let listener = try Listener(text, backlog: 7)
        #expect(listener.address.port ?? 0 != 0)
        listener.close()
    }

    @Test(arguments: ["", "unix:"])
    func aPathIsAUnixSocket(_ prefix: String) throws {
        let path = try temporaryPath()
        let listener = try Listener(prefix + path)
        #expect(listener.address == .unix(path: path))
        listener.close()
    }

    @Test func anIPv6AddressIsInBrackets() {
        #expect(Endpoint(text: "[::1]:8080") == .tcp("::1", 8080))
        #expect(Endpoint(text: "::1:8080") == nil)
    }

    @Test func queuesAreSharedByTextToo() throws {
        let listener = try Listener("127.0.0.1:0", sharing: .reusePort(queues: 2))
        #expect(listener.queueCount == 2)
        listener.close()
    }
}
