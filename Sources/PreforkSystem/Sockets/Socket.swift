// Sockets: the calls of socket(7), each once, non-blocking and close-on-exec.

import CPrefork
import Glibc

package enum Socket {
    /// A stream socket of the address's family. A Unix socket refuses descriptors.
    package static func open(for address: SocketAddress) throws(SystemError) -> Int32 {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let number = try systemCall("socket", on: "\(address)") { socket(address.family, type, 0) }
        if case .unix = address { refuseDescriptors(number) }
        return number
    }

    /// Lets no descriptors come with what arrives at a Unix socket, and at the connections that a listener accepts.
    ///
    /// A process that reads a message with read(2), or closes the socket before, closes the descriptors that came with
    /// it, and waits if one is a TCP socket with SO_LINGER (socket(7)). Kernels before Linux 6.16 take them all the
    /// same. The call may wait for the socket's lock, which another process that has the socket can hold.
    package static func refuseDescriptors(_ fd: Int32) {
        _ = cprefork_refuse_descriptors(fd)
    }

    /// Two Unix stream sockets that are connected to each other.
    package static func pair() throws(SystemError) -> (Int32, Int32) {
        var ends: [Int32] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        try systemCall("socketpair") { socketpair(AF_UNIX, type, 0, &ends) }
        return (ends[0], ends[1])
    }

    package static func bind(_ fd: Int32, to address: SocketAddress) throws(SystemError) {
        try withAddress("bind", address) { Glibc.bind(fd, $0, $1) }
    }

    /// Binds a Unix socket to a free abstract name (autobind of unix(7)).
    static func bindAnywhere(_ fd: Int32) throws(SystemError) {
        var address = sockaddr()
        address.sa_family = sa_family_t(AF_UNIX)
        try systemCall("bind", on: "socket \(fd)") {
            Glibc.bind(fd, &address, socklen_t(MemoryLayout<sa_family_t>.size))
        }
    }

    package static func connect(_ fd: Int32, to address: SocketAddress) throws(SystemError) {
        try withAddress("connect", address) { Glibc.connect(fd, $0, $1) }
    }

    /// Returns a TCP socket to the state that is neither connected nor listening. It keeps its explicit port. Waits
    /// only for the socket's lock: an address without a family ends a connection by a reset (connect(2)).
    package static func disconnect(_ fd: Int32) throws(SystemError) {
        var none = sockaddr(sa_family: sa_family_t(AF_UNSPEC), sa_data: (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
        try systemCall("connect", on: "socket \(fd), to no address") {
            Glibc.connect(fd, &none, socklen_t(MemoryLayout<sockaddr>.size))
        }
    }

    package static func listen(_ fd: Int32, backlog: Int32, on address: SocketAddress) throws(SystemError) {
        try systemCall("listen", on: "\(address)") { Glibc.listen(fd, backlog) }
    }

    /// The next connection of the accept queue, non-blocking and close-on-exec, or nil if no connection waits.
    package static func accept(_ fd: Int32) throws(SystemError) -> (socket: Int32, peer: SocketAddress)? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        do throws(SystemError) {
            let socket = try systemCall("accept4", on: "listener \(fd)") {
                cprefork_accept(fd, &storage, &length)
            }
            return (socket, SocketAddress(storage, length: length))
        } catch {
            if error.errno == .wouldBlock { return nil }
            throw error
        }
    }

    /// As `accept`, on a listener that other processes have, too: it does not matter what they do to O_NONBLOCK.
    ///
    /// It waits for some 10 ms at most. It takes one real-time signal of the process that has no handler, and one timer
    /// of the thread, which `endSharedAccepting` gives back.
    ///
    /// - Returns: besides, whether O_NONBLOCK was missing. The call sets it again.
    package static func acceptShared(
        _ fd: Int32
    ) throws(SystemError) -> (connection: (socket: Int32, peer: SocketAddress)?, isRepaired: Bool) {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        var isRepaired: Int32 = 0
        do throws(SystemError) {
            let socket = try systemCall("accept4", on: "listener \(fd)") {
                cprefork_accept_shared(fd, &storage, &length, &isRepaired)
            }
            return ((socket, SocketAddress(storage, length: length)), isRepaired != 0)
        } catch {
            if error.errno == .wouldBlock { return (nil, isRepaired != 0) }
            throw error
        }
    }

    /// The calling thread accepts by `acceptShared` no more for now.
    package static func endSharedAccepting() {
        cprefork_end_shared_accept()
    }

    /// Whether accepting would bring a connection or an error: an accept4(2) that finds nothing costs eight times as
    /// much, because it makes the new file first. A socket that is writable is no longer a listener.
    package static func hasConnection(_ fd: Int32) -> Bool {
        var status = pollfd(fd: fd, events: Int16(POLLIN | POLLOUT), revents: 0)
        return poll(&status, 1, 0) != 0
    }

    package enum Half {
        case reading, writing
    }

    /// shutdown(2) of one direction. If the peer is gone already, the socket counts as shut down.
    package static func shutDown(_ fd: Int32, _ half: Half) throws(SystemError) {
        do {
            let how = Int32(half == .reading ? SHUT_RD : SHUT_WR)
            try systemCall("shutdown", on: "socket \(fd)") { shutdown(fd, how) }
        } catch  where error.errno == .notConnected {
            return
        }
    }

    /// The address the socket is bound to. For a listener of this package at a Unix path, its public name.
    package static func localAddress(_ fd: Int32) throws(SystemError) -> SocketAddress {
        try address("getsockname", fd, getsockname)
    }

    /// The peer's address.
    package static func peerAddress(_ fd: Int32) throws(SystemError) -> SocketAddress {
        try address("getpeername", fd, getpeername)
    }

    package static func setOption(
        _ fd: Int32, level: Int32, _ option: Int32, name: StaticString, to value: Int32
    ) throws(SystemError) {
        var value = value
        try systemCall("setsockopt", on: "\(name) of socket \(fd)") {
            setsockopt(fd, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
        }
    }

    package static func option(
        _ fd: Int32, level: Int32, _ option: Int32, name: StaticString
    ) throws(SystemError) -> Int32 {
        var value: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        try systemCall("getsockopt", on: "\(name) of socket \(fd)") { getsockopt(fd, level, option, &value, &length) }
        return value
    }

    /// TCP_NODELAY: what is written goes out at once instead of waiting for more (tcp(7)).
    package static func setNoDelay(_ fd: Int32) throws(SystemError) {
        try setOption(fd, level: Int32(IPPROTO_TCP), TCP_NODELAY, name: "TCP_NODELAY", to: 1)
    }

    /// SO_LINGER of zero: close(2) throws away what was not sent yet, does not wait, and resets a TCP connection (socket(7)).
    package static func setResetAtClose(_ fd: Int32) throws(SystemError) {
        var value = linger(l_onoff: 1, l_linger: 0)
        try systemCall("setsockopt", on: "SO_LINGER of socket \(fd)") {
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
        }
    }

    /// Why a connect in progress failed (SO_ERROR), or nil if it did not fail.
    package static func pendingError(_ fd: Int32) throws(SystemError) -> Errno? {
        let code = try option(fd, level: SOL_SOCKET, SO_ERROR, name: "SO_ERROR")
        return code == 0 ? nil : Errno(rawValue: code)
    }

    private static func withAddress(
        _ call: StaticString, _ address: SocketAddress, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) throws(SystemError) {
        try systemCall(call, on: "\(address)") { () -> Int32 in
            guard let result = address.withSockaddr(body) else {
                // A path with a NUL byte is not too long, and an address of an unknown family has no form.
                if case .unix(let path) = address, path.utf8.count >= 108 {
                    errno = ENAMETOOLONG
                } else {
                    errno = EINVAL
                }
                return -1
            }
            return result
        }
    }

    private static func address(
        _ call: StaticString, _ fd: Int32,
        _ body: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
    ) throws(SystemError) -> SocketAddress {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        try systemCall(call, on: "socket \(fd)") {
            withUnsafeMutablePointer(to: &storage) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body(fd, $0, &length) }
            }
        }
        return UnixSocketName.publicAddress(of: SocketAddress(storage, length: length))
    }
}

extension SocketAddress {
    var family: Int32 {
        switch self {
        case .ipv4: AF_INET
        case .ipv6: AF_INET6
        case .unix: AF_UNIX
        case .other(let family): Int32(family)
        }
    }
}
