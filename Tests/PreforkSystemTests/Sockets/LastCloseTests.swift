// Descriptors on their way to Unix sockets, and who closes them.

import CPrefork
import Glibc
import PreforkTestSupport
import Testing

@testable import PreforkSystem

extension SharedListenerTests {
    @Suite struct LastCloseTests {
        private static let passRights: Int32 = 83

        /// SO_PASSRIGHTS, Linux 6.16.
        private static var canRefuse: Bool {
            guard let fd = try? Socket.open(for: .unix(path: "")) else { return false }
            defer { close(fd) }
            return (try? Socket.option(fd, level: SOL_SOCKET, passRights, name: "SO_PASSRIGHTS")) != nil
        }

        private func client(of listener: Listener) throws -> Descriptor {
            let client = Descriptor(owning: try Socket.open(for: listener.address))
            try Socket.connect(client.number, to: listener.address)
            return client
        }

        private func send(_ number: Int32, by socket: Int32) -> Errno? {
            do throws(SystemError) {
                let isTaken = try withUnsafeBytes(of: UInt64(1)) { (bytes) throws(SystemError) in
                    try DescriptorPassing.send(bytes, passing: [number], to: socket)
                }
                return isTaken ? nil : .wouldBlock
            } catch {
                return error.errno
            }
        }

        /// A TCP socket whose last close waits for 20 s, and its peer, which reads nothing.
        private func lingering() throws -> (socket: Int32, peer: Int32) {
            let listener = try Listener(.tcp("127.0.0.1", 0))
            let socket = try Socket.open(for: listener.address)
            _ = listener.address.withSockaddr { connect(socket, $0, $1) }
            var status = pollfd(fd: listener.descriptor, events: Int16(POLLIN), revents: 0)
            poll(&status, 1, 5_000)
            let peer = try #require(try Socket.accept(listener.descriptor)).socket
            let bytes = [UInt8](repeating: 1, count: 1 << 16)
            var writable = pollfd(fd: socket, events: Int16(POLLOUT), revents: 0)
            while poll(&writable, 1, 200) == 1, write(socket, bytes, bytes.count) > 0 {}
            var linger = Glibc.linger(l_onoff: 1, l_linger: 20)
            #expect(
                setsockopt(socket, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size)) == 0)
            return (socket, peer)
        }

        @Test(.enabled(if: canRefuse, "SO_PASSRIGHTS needs Linux 6.16"))
        func clientsOfAUnixListenerSendNoDescriptors() throws {
            let listener = try Listener(.unix(try temporaryPath()))
            let first = try client(of: listener)
            #expect(send(0, by: first.number) == .notPermitted)
            // What a worker that was taken over does, and the next one puts right.
            try Socket.setOption(listener.descriptor, level: SOL_SOCKET, Self.passRights, name: "SO_PASSRIGHTS", to: 1)
            let second = try client(of: listener)
            #expect(send(0, by: second.number) == nil)
            Listener.restoreAll()
            let client = try client(of: listener)
            #expect(send(0, by: client.number) == .notPermitted)
            #expect(write(client.number, "x", 1) == 1)
            listener.close()
        }

        @Test func aListenerIsBoundAnewWithoutWaitingForDescriptorsInItsQueue() throws {
            let listener = try Listener(.unix(try temporaryPath()))
            try? Socket.setOption(listener.descriptor, level: SOL_SOCKET, Self.passRights, name: "SO_PASSRIGHTS", to: 1)
            let (socket, peer) = try lingering()
            do {
                let client = try client(of: listener)
                #expect(send(socket, by: client.number) == nil)
            }
            close(socket)
            shutdown(listener.descriptor, Int32(SHUT_RDWR))
            let start = MonotonicInstant.now
            #expect(Listener.reviveAll().contains { $0.hasSuffix("is bound again") })
            #expect(MonotonicInstant.now < start + .seconds(10))
            _ = try client(of: listener)
            listener.close()
            close(peer)
        }

        /// The program closes its listener at the end of the service, which must not wait for 20 s.
        @Test func aListenerIsClosedWithoutWaitingForDescriptorsInItsQueue() throws {
            let listener = try Listener(.unix(try temporaryPath()))
            try? Socket.setOption(listener.descriptor, level: SOL_SOCKET, Self.passRights, name: "SO_PASSRIGHTS", to: 1)
            let (socket, peer) = try lingering()
            do {
                let client = try client(of: listener)
                #expect(send(socket, by: client.number) == nil)
            }
            close(socket)
            let start = MonotonicInstant.now
            listener.close(isShared: true)
            #expect(MonotonicInstant.now < start + .seconds(10))
            close(peer)
        }

        @Test func socketsAreClosedWithoutWaitingForDescriptorsInThem() throws {
            var pair: [Int32] = [-1, -1]
            #expect(cprefork_packet_pair(&pair) == 0)
            let (socket, peer) = try lingering()
            #expect(send(socket, by: pair[0]) == nil)
            close(socket)
            let start = MonotonicInstant.now
            #expect(LastClose.close(pair))
            #expect(MonotonicInstant.now < start + .seconds(10))
            close(peer)
        }

        /// What the holder does not hold is closed in it: a reader sees the end while the holder lives.
        @Test func theHolderHasNothingElse() throws {
            var ends: [Int32] = [-1, -1]
            #expect(cprefork_blocking_pipe(&ends) == 0)
            let pair = try PacketPair()
            let isOver = try LastClose.elsewhere([pair.first.number, pair.second.number]) {
                close(ends[1])
                var status = pollfd(fd: ends[0], events: Int16(POLLIN), revents: 0)
                return poll(&status, 1, 60_000) == 1 && status.revents & Int16(POLLHUP) != 0
            }
            #expect(isOver.get())
            close(ends[0])
        }
    }
}
