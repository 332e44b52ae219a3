// Addresses to listen on as text; those that are none are in the table of parameters.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct ListenerAddressTests {
    @Test func textIsWhatItsEndpointIs() throws {
        let path = try temporaryPath()
        defer { unlink(path) }
        for (text, address) in [("127.0.0.1:0", "127.0.0.1:"), ("localhost:0", ":"), ("[::1]:0", "[::1]:")] {
            do {
                let listener = try Listener(text, backlog: 7)
                defer { listener.close() }
                #expect("\(listener.address)".contains(address) && listener.address.port != 0, "\(text)")
            } catch let error as SystemError where error.errno == .addressNotAvailable {
                // A machine without IPv6.
                #expect(text == "[::1]:0")
            }
        }
        for text in [path, "unix:\(path)"] {
            let listener = try Listener(text)
            #expect(listener.address == .unix(path: path))
            listener.close()
        }
    }

    @Test func queuesAreSharedByTextToo() throws {
        let listener = try Listener("127.0.0.1:0", sharing: .reusePort(queues: 2))
        defer { listener.close() }
        #expect(listener.queueCount == 2)
    }
}
