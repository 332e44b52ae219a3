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
        #expect(Listener.reviveAll().contains { $0.contains(path) && $0.hasSuffix("is bound anew") })
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
        #expect(Listener.reviveAll().contains { $0.contains(name) && $0.contains("cannot be bound anew") })
        #expect(listener.isShutDownForGood && !canConnect(to: listener.address))
        close(other)
        #expect(Listener.reviveAll().contains { $0.contains(name) && $0.hasSuffix("is bound anew") })
        #expect(!listener.isShutDownForGood && canConnect(to: listener.address) && listener.descriptor == number)
        #expect(!Listener.reviveAll().contains { $0.contains(name) })
        listener.close()
    }

    /// It is somebody else's name by then.
    @Test func aNameThatWasTakenMeanwhileIsLeftAlone() throws {
        let path = try temporaryPath()
        let listener = try Listener(.unix(path))
        shutdown(listener.descriptor, Int32(SHUT_RD))
        unlink(path)
        let other = try Listener(.unix(path))
        #expect(Listener.reviveAll().contains { $0.contains(path) && $0.contains("cannot be bound anew") })
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
        Listener.restoreAll()
        #expect(canConnect(to: listener.address))
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
