// What a process with a listener can do to it, and how it is put right.

import Glibc
import PreforkTestSupport
import Testing

@testable import PreforkSystem

/// One at a time: `reviveAll` is for all listeners of the process.
@Suite(.serialized, .timeLimit(.minutes(2))) struct SharedListenerTests {
    private func canConnect(to address: SocketAddress) -> Bool {
        guard let fd = try? Socket.open(for: address) else { return false }
        defer { close(fd) }
        if address.withSockaddr({ connect(fd, $0, $1) }) == 0 { return true }
        // A TCP socket that does not block tells later (connect(2)).
        guard errno == EINPROGRESS else { return false }
        var status = pollfd(fd: fd, events: Int16(POLLOUT), revents: 0)
        return poll(&status, 1, 5_000) == 1
            && (try? Socket.option(fd, level: SOL_SOCKET, SO_ERROR, name: "SO_ERROR")) == 0
    }

    @Test func aUnixListenerThatWasShutDownIsBoundAnewUnderItsNumber() throws {
        let path = try temporaryPath()
        let listener = try Listener(.unix(path))
        let number = listener.descriptor
        #expect(!Listener.reviveAll().contains { $0.contains(path) })
        shutdown(number, Int32(SHUT_RDWR))
        #expect(!canConnect(to: listener.address))
        #expect(Listener.reviveAll().contains { $0.contains(path) && $0.hasSuffix("is bound again") })
        #expect(canConnect(to: listener.address) && listener.descriptor == number)
        #expect(try Socket.accept(number) != nil)
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
        listener.close()
        #expect(access(path, F_OK) != 0)
    }

    /// The name is in use for as long as any process has the old socket.
    @Test func anAbstractListenerThatWasShutDownIsBoundAnewWhenNobodyHasTheOldOne() throws {
        let name = "prefork-shared-\(getpid())"
        let listener = try Listener(.unix("\0\(name)"))
        let number = listener.descriptor
        let other = dup(number)
        shutdown(number, Int32(SHUT_RDWR))
        #expect(Listener.reviveAll().contains { $0.contains(name) && $0.contains("cannot be bound again") })
        #expect(listener.isShutDownForGood && !canConnect(to: listener.address))
        close(other)
        #expect(Listener.reviveAll().contains { $0.contains(name) && $0.hasSuffix("is bound again") })
        #expect(!listener.isShutDownForGood && canConnect(to: listener.address) && listener.descriptor == number)
        #expect(!Listener.reviveAll().contains { $0.contains(name) })
        listener.close()
    }

    /// The name belongs to another process by then.
    @Test func aNameThatWasTakenMeanwhileIsLeftAlone() throws {
        let path = try temporaryPath()
        let listener = try Listener(.unix(path))
        shutdown(listener.descriptor, Int32(SHUT_RD))
        unlink(path)
        let other = try Listener(.unix(path))
        #expect(Listener.reviveAll().contains { $0.contains(path) && $0.contains("cannot be bound again") })
        #expect(canConnect(to: other.address))
        listener.close()
        #expect(canConnect(to: other.address))
    }

    /// A TCP socket that was connected says EINVAL to listen(2) for ever, also when its peer is gone.
    @Test func aListenerThatWasConnectedToSomebodyListensAgain() throws {
        let other = try Listener(.tcp("127.0.0.1", 0))
        // The port is explicit, as a service's.
        var listener = try Listener(.tcp("127.0.0.1", 0))
        guard case .ipv4(_, let port) = listener.address else { return }
        listener.close()
        listener = try Listener(.tcp("127.0.0.1", port))
        shutdown(listener.descriptor, Int32(SHUT_RDWR))
        try? Socket.connect(listener.descriptor, to: other.address)
        other.close()
        #expect(!canConnect(to: listener.address))
        Listener.restoreOptions()
        #expect(canConnect(to: listener.address))
        listener.close()
    }

    @Test func addressesGoToTheNextImageAsText() {
        let addresses: [SocketAddress] = [
            .ipv4(0x7F00_0001, port: 8080), .ipv4(.max, port: .max), .ipv6(0, 1, port: 1, scope: 0),
            .ipv6(.max, .max, port: .max, scope: .max),
        ]
        for address in addresses { #expect(address.handoverText.flatMap { SocketAddress(handoverText: $0) } == address) }
        #expect(SocketAddress.unix(path: "/x").handoverText == nil)
        for text in ["", "-", "4", "4,1", "4,1,65536", "4,4294967296,1", "6,1,2,3", "5,1,2", "4,x,1", "-1,1,1"] {
            #expect(SocketAddress(handoverText: text) == nil)
        }
    }

    /// Also of a group of sockets, whose filters may be the program's until then.
    @Test(arguments: [AcceptSharing.sharedQueue, .reusePort(queues: 2)])
    func nobodyAttachesAFilterWhenTheFirstChildHasBeenForked(_ sharing: AcceptSharing) throws {
        let listener = try Listener(.tcp("127.0.0.1", 0), sharing: sharing)
        Listener.prepareForSharing()
        for socket in listener.sockets {
            #expect(try Socket.option(socket, level: SOL_SOCKET, SO_LOCK_FILTER, name: "SO_LOCK_FILTER") == 1)
        }
        listener.close()
    }

    /// The value that a worker sets, by level and number. Each of them would otherwise outlive the worker.
    @Test func optionsAreWhatTheyWereBeforeTheFirstFork() throws {
        let listener = try Listener(.tcp("127.0.0.1", 0))
        let socket = listener.descriptor
        let tcp = Int32(IPPROTO_TCP)
        let ip = Int32(IPPROTO_IP)
        try Socket.setOption(socket, level: ip, IP_TOS, name: "IP_TOS", to: 0x10)
        Listener.prepareForSharing()
        let before = ListenerOptions(of: socket)
        let left = "\(listener.address.handoverText ?? "-") \(before.text)"
        #expect(ListenerOptions(text: left) == before && ListenerOptions(text: "- 2") == nil)
        #expect(SocketAddress(handoverText: left) == listener.address)
        let changes: [(Int32, Int32, Int32)] = [
            (SOL_SOCKET, SO_DONTROUTE, 1), (SOL_SOCKET, SO_MAX_PACING_RATE, 1), (SOL_SOCKET, SO_SNDBUF, 1),
            (SOL_SOCKET, SO_RCVBUF, 1), (SOL_SOCKET, SO_KEEPALIVE, 1), (ip, IP_TTL, 1), (ip, IP_MINTTL, 255),
            (ip, IP_TOS, 0), (tcp, TCP_CORK, 1), (tcp, TCP_USER_TIMEOUT, 1), (tcp, TCP_MAXSEG, 88),
        ]
        for (level, option, value) in changes {
            try Socket.setOption(socket, level: level, option, name: "option", to: value)
        }
        #expect(ListenerOptions(of: socket) != before)
        Listener.restoreOptions()
        #expect(ListenerOptions(of: socket) == before, "\(ListenerOptions(of: socket).text) \(before.text)")
        // A later note, such as the next fork's, must not take over what a worker has set.
        try Socket.setOption(socket, level: ip, IP_TTL, name: "IP_TTL", to: 1)
        Listener.prepareForSharing()
        Listener.restoreOptions()
        #expect(try Socket.option(socket, level: ip, IP_TTL, name: "IP_TTL") > 1)
        listener.close()
    }

    /// Without this no client of another machine would reach it, for as long as the service runs.
    @Test(.enabled(if: geteuid() == 0, "needs CAP_NET_RAW"))
    func aListenerThatWasBoundToADeviceIsFreedByRoot() throws {
        let listener = try Listener(.tcp("127.0.0.1", 0))
        Listener.prepareForSharing()
        let bindToInterface: Int32 = 62
        try Socket.setOption(
            listener.descriptor, level: SOL_SOCKET, bindToInterface, name: "SO_BINDTOIFINDEX", to: 1)
        Listener.restoreOptions()
        #expect(
            try Socket.option(listener.descriptor, level: SOL_SOCKET, bindToInterface, name: "SO_BINDTOIFINDEX") == 0)
        listener.close()
    }

    @Test func optionsThatConnectionsInheritAreRestored() throws {
        let listener = try Listener(.tcp("127.0.0.1", 0))
        let fd = listener.descriptor
        var linger = Glibc.linger(l_onoff: 1, l_linger: 5)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
        try Socket.setOption(fd, level: SOL_SOCKET, SO_RCVLOWAT, name: "SO_RCVLOWAT", to: 1_000)
        listen(fd, 0)
        Listener.restoreAll()
        #expect(try Socket.option(fd, level: SOL_SOCKET, SO_LINGER, name: "SO_LINGER") == 0)
        #expect(try Socket.option(fd, level: SOL_SOCKET, SO_RCVLOWAT, name: "SO_RCVLOWAT") == 1)
        for _ in 0..<3 { #expect(canConnect(to: listener.address)) }
    }
}
