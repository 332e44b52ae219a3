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
        for number in stored.values { close(number) }
        if let path { unlink(path) }
    }

    /// What the service has stored so far, by name (FDSTORE=1, FDSTOREREMOVE=1), in this process's descriptors.
    public private(set) var stored: [String: Int32] = [:]

    /// Takes all messages that wait, and keeps the descriptors that came with them.
    public func takeStored() throws {
        var bytes = [UInt8](repeating: 0, count: 4096)
        while let packet = try bytes.withUnsafeMutableBytes({ try DescriptorPassing.receive(into: $0, from: socket) }) {
            let lines = String(decoding: bytes.prefix(packet.byteCount), as: UTF8.self).split(separator: "\n")
            guard let name = lines.first(where: { $0.hasPrefix("FDNAME=") })?.dropFirst(7) else { continue }
            if lines.contains("FDSTOREREMOVE=1"), let old = stored.removeValue(forKey: String(name)) { close(old) }
            if lines.contains("FDSTORE=1"), let number = packet.descriptors.first { stored[String(name)] = number }
        }
    }

    /// Shell commands that pass what is stored to the program that follows, as a service manager does.
    public var passing: String {
        let names = stored.keys.sorted()
        // A shell cannot open for writing what is kept whole.
        for number in stored.values { MemoryFile.keepWhole(number, false) }
        let opened = names.enumerated().map { "exec \($0 + 3)<>/proc/\(getpid())/fd/\(stored[$1]!)" }
        return (opened + ["export LISTEN_PID=$$ LISTEN_FDS=\(names.count) LISTEN_FDNAMES=\(names.joined(separator: ":"))"])
            .joined(separator: "; ")
    }

    /// The next message, or nil if none waits.
    public func next() -> String? {
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = recv(socket, &bytes, bytes.count, Int32(MSG_DONTWAIT))
        return count < 0 ? nil : String(decoding: bytes.prefix(count), as: UTF8.self)
    }
}
