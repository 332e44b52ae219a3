// A connected socket that came from another process.

import Glibc

extension Socket {
    /// Prepares a descriptor that another process has passed as a connection.
    ///
    /// - Returns: false unless it is a connected or once connected stream socket of a family that listeners have. Its own
    ///   process may have passed anything. Otherwise it is non-blocking, as accepted ones are.
    package static func prepareReceived(_ number: Int32) -> Bool {
        do throws(SystemError) {
            let family = try option(number, level: SOL_SOCKET, SO_DOMAIN, name: "SO_DOMAIN")
            let type = try option(number, level: SOL_SOCKET, SO_TYPE, name: "SO_TYPE")
            let isListening = try option(number, level: SOL_SOCKET, SO_ACCEPTCONN, name: "SO_ACCEPTCONN") != 0
            guard [AF_INET, AF_INET6, AF_UNIX].contains(family), type == Int32(SOCK_STREAM.rawValue), !isListening
            else { return false }
            // The flag belongs to the open file: the sender, or any process before it, may have changed it.
            try setNonBlocking(number)
            return true
        } catch {
            return false
        }
    }
}

extension SocketAddress {
    /// As the kernel writes it (`sockaddr`). Empty for a family that this package does not know.
    package var kernelBytes: [UInt8] {
        withSockaddr { address, length in
            Array(UnsafeRawBufferPointer(start: address, count: Int(length)))
        } ?? []
    }

    /// - Parameter bytes: arbitrary ones become an address of some family.
    /// - Returns: nil for more bytes than an address has.
    package init?(kernelBytes bytes: some Collection<UInt8>) {
        var storage = sockaddr_storage()
        guard bytes.count <= MemoryLayout<sockaddr_storage>.size else { return nil }
        withUnsafeMutableBytes(of: &storage) { $0.copyBytes(from: bytes) }
        self.init(storage, length: socklen_t(bytes.count))
    }
}
