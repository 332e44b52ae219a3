// The socket on which a service reports to its service manager (sd_notify(3)).

import CPrefork
import Glibc

/// A datagram socket that sends to one address.
package struct NotifySocket: ~Copyable, Sendable {
    package let address: SocketAddress
    private let descriptor: Descriptor

    /// - Parameter name: the value of NOTIFY_SOCKET: an absolute path, or `@` and an abstract name.
    /// - Throws: EINVAL or EAFNOSUPPORT for a name that is neither, ENAMETOOLONG.
    package init(name: String) throws(SystemError) {
        let path: String
        switch name.utf8.first {
        case UInt8(ascii: "/"): path = name
        case UInt8(ascii: "@"): path = "\0" + name.dropFirst()
        case nil: throw SystemError("socket", .invalidArgument, on: "NOTIFY_SOCKET is empty")
        // vsock: is for virtual machines' init, not for a service in one.
        default: throw SystemError("socket", .familyNotSupported, on: "NOTIFY_SOCKET=\(name)")
        }
        let address = SocketAddress.unix(path: path)
        guard address.withSockaddr({ _, _ in true }) != nil else { throw SystemError("sendto", .nameTooLong, on: name) }
        let type = Int32(SOCK_DGRAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        descriptor = Descriptor(owning: try systemCall("socket", on: "\(address)") { socket(AF_UNIX, type, 0) })
        Socket.refuseDescriptors(descriptor.number)
        self.address = address
    }

    /// For children, which close it.
    package var number: Int32 { descriptor.number }

    /// One datagram with descriptors, which the manager gets copies of.
    ///
    /// - Throws: also EAGAIN when its queue is full.
    package func send(_ text: String, passing descriptors: [Int32]) throws(SystemError) {
        let type = Int32(SOCK_DGRAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let sender = Descriptor(owning: try systemCall("socket", on: "\(address)") { socket(AF_UNIX, type, 0) })
        let number = sender.number
        try systemCall("connect", on: "\(address)") { address.withSockaddr { connect(number, $0, $1) } ?? -1 }
        let bytes = Array(text.utf8)
        try systemCall("sendmsg", on: "\(address)") {
            cprefork_send_passing(number, bytes, bytes.count, descriptors, Int32(descriptors.count))
        }
    }

    /// One datagram. Not connected before: a manager that was restarted has another socket at the same address.
    ///
    /// - Returns: false when its queue is full.
    package func send(_ text: String) throws(SystemError) -> Bool {
        let bytes = Array(text.utf8)
        let number = descriptor.number
        do throws(SystemError) {
            try systemCall("sendto", on: "\(address)") {
                address.withSockaddr {
                    sendto(number, bytes, bytes.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT), $0, $1)
                } ?? -1
            }
            return true
        } catch {
            // ENOBUFS: no memory for it now.
            if error.errno == .wouldBlock || error.errno == .noBufferSpace { return false }
            throw error
        }
    }
}
