// A service manager's end of the notify socket (sd_notify(3)).

import Glibc
import PreforkSystem
import Testing

/// Receives what a service says to its manager.
public final class ServiceManagerSocket {
    /// The value of NOTIFY_SOCKET.
    public let name: String
    private let socket: Int32
    private let path: String?

    public init(abstract: Bool = false) throws {
        let path = try temporaryPath()
        self.path = abstract ? nil : path
        name = abstract ? "@prefork-test\(path)" : path
        socket = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        let address = SocketAddress.unix(path: abstract ? "\0prefork-test\(path)" : path)
        let result = address.withSockaddr { bind(socket, $0, $1) }
        try #require(result == 0)
    }

    deinit {
        close(socket)
        if let path { unlink(path) }
    }

    /// The next message, or nil if none waits.
    public func next() -> String? {
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = recv(socket, &bytes, bytes.count, Int32(MSG_DONTWAIT))
        return count < 0 ? nil : String(decoding: bytes.prefix(count), as: UTF8.self)
    }
}
