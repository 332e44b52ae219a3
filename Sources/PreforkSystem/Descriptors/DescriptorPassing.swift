// Descriptors that travel through a socket: SCM_RIGHTS of unix(7).

import CPrefork
import Glibc

/// Two Unix sockets that are connected to each other and keep packets whole (SOCK_SEQPACKET).
///
/// A process that has forked others does not wait for what they have left in the sockets: see `LastClose`.
package struct PacketPair: ~Copyable, Sendable {
    /// The pair owns its descriptor.
    package struct End: Sendable {
        package let number: Int32
    }

    package let first: End
    package let second: End
    /// Others, who may be no children of this process, have them, too.
    private let isForeign: Bool

    /// Both are non-blocking and close-on-exec.
    package init() throws(SystemError) {
        var ends: [Int32] = [-1, -1]
        try systemCall("socketpair", on: "SOCK_SEQPACKET") { cprefork_packet_pair(&ends) }
        first = End(number: ends[0])
        second = End(number: ends[1])
        isForeign = false
    }

    /// A pair of the previous image, or of another process.
    package init(adopting first: Int32, _ second: Int32, isForeign: Bool = false) {
        self.first = End(number: first)
        self.second = End(number: second)
        self.isForeign = isForeign
    }

    /// Whether a descriptor is of the kind that a pair has.
    package static func isEnd(_ number: Int32) -> Bool { cprefork_is_packet_socket(number) == 1 }

    package var numbers: [Int32] { [first.number, second.number] }

    deinit {
        let numbers = [first.number, second.number]
        if isForeign || hasForkedChildren { LastClose.closeShared(numbers) } else { closeDescriptors(numbers) }
    }
}

extension PacketPair {
    /// Two ends for packets in one direction. Nothing can be sent the other way (EPIPE), so nothing that a process with
    /// fewer rights passes ever waits at the sending end, where the kernel would have to close it.
    ///
    /// - Returns: two descriptors that the caller closes.
    package static func makeOneWay() throws(SystemError) -> (sending: Int32, receiving: Int32) {
        var ends: [Int32] = [-1, -1]
        try systemCall("socketpair", on: "SOCK_SEQPACKET") { cprefork_packet_pair(&ends) }
        do throws(SystemError) {
            try Socket.shutDown(ends[0], .reading)
        } catch {
            closeDescriptors(ends)
            throw error
        }
        return (ends[0], ends[1])
    }
}

/// A packet that has arrived, with descriptors that this process now owns.
package struct PassedPacket {
    package let byteCount: Int
    /// Close-on-exec. Closed with the bag unless they are released.
    package let descriptors: [Int32]
    /// It had more bytes than there was room for, or more descriptors than this process may have.
    package let isTruncated: Bool
}

package enum DescriptorPassing {
    /// How many descriptors one packet takes (SCM_MAX_FD).
    package static let limit = Int(CPREFORK_PASSING_LIMIT)

    /// One sendmsg(2). The caller keeps the descriptors, and the packet holds copies.
    ///
    /// - Returns: false when the socket takes no packet now.
    /// - Throws: E2BIG above `limit` descriptors. EBADF for one that is not open. ETOOMANYREFS when more descriptors
    ///   are in flight than the user may have open.
    package static func send(
        _ bytes: UnsafeRawBufferPointer, passing descriptors: [Int32], to socket: Int32
    ) throws(SystemError) -> Bool {
        let object = "socket \(socket)"
        guard descriptors.count <= limit else { throw SystemError("sendmsg", Errno(rawValue: E2BIG), on: object) }
        do throws(SystemError) {
            try systemCall("sendmsg", on: object) {
                // Without bytes any address will do, here and below: 1 is not nil.
                cprefork_send_passing(
                    socket, bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1)!, bytes.count, descriptors,
                    Int32(descriptors.count))
            }
            return true
        } catch {
            if error.errno == .wouldBlock { return false }
            throw error
        }
    }

    /// One recvmsg(2).
    ///
    /// - Returns: nil when no packet waits.
    package static func receive(
        into bytes: UnsafeMutableRawBufferPointer, from socket: Int32
    ) throws(SystemError) -> PassedPacket? {
        try take(bytes, from: socket, cprefork_receive_passing)
    }

    /// One recvmsg(2) that leaves the packet where it is; the descriptors are copies.
    ///
    /// - Returns: nil when no packet waits behind the socket's peek offset.
    package static func copy(
        into bytes: UnsafeMutableRawBufferPointer, from socket: Int32
    ) throws(SystemError) -> PassedPacket? {
        try take(bytes, from: socket, cprefork_copy_passing)
    }

    /// - Parameter offset: the byte of all waiting data at which the next `copy` begins. If nil, always the first. Each
    ///   `copy` continues after what it has read.
    package static func setPeekOffset(of socket: Int32, to offset: Int?) throws(SystemError) {
        try systemCall("setsockopt", on: "SO_PEEK_OFF of socket \(socket)") {
            cprefork_set_peek_offset(socket, Int32(clamping: offset ?? -1))
        }
    }

    private static func take(
        _ bytes: UnsafeMutableRawBufferPointer, from socket: Int32,
        _ call: (Int32, UnsafeMutableRawPointer, Int, UnsafeMutablePointer<Int32>, UnsafeMutablePointer<Int32>,
            UnsafeMutablePointer<Int32>) -> Int
    ) throws(SystemError) -> PassedPacket? {
        var numbers = [Int32](repeating: -1, count: limit)
        var count: Int32 = 0
        var isTruncated: Int32 = 0
        do throws(SystemError) {
            let received = try systemCall("recvmsg", on: "socket \(socket)") {
                call(
                    socket, bytes.baseAddress ?? UnsafeMutableRawPointer(bitPattern: 1)!, bytes.count, &numbers, &count,
                    &isTruncated)
            }
            return PassedPacket(
                byteCount: received, descriptors: Array(numbers.prefix(Int(count))), isTruncated: isTruncated != 0)
        } catch {
            if error.errno == .wouldBlock { return nil }
            throw error
        }
    }

    /// The first word of the waiting packet. The packet and its descriptors stay where they are (MSG_PEEK).
    ///
    /// - Returns: nil when no packet waits, or one of another size.
    package static func peek(at socket: Int32) throws(SystemError) -> UInt64? {
        var word: UInt64 = 0
        do throws(SystemError) {
            let count = try systemCall("recv", on: "socket \(socket)") {
                recv(socket, &word, 8, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
            }
            return count == 8 ? word : nil
        } catch {
            if error.errno == .wouldBlock { return nil }
            throw error
        }
    }

    /// Whether this process may have `count` descriptors more.
    ///
    /// recvmsg(2) does not fail without room: it throws the descriptors away that do not fit. A caller that must not
    /// lose them asks before.
    ///
    /// - Parameter number: any open descriptor.
    /// - Throws: EMFILE or ENFILE when there is no room.
    package static func checkRoom(for count: Int, by number: Int32) throws(SystemError) {
        let room = DescriptorSet()
        for _ in 0..<count {
            room.add(try systemCall("fcntl", on: "room for \(count) descriptors") { cprefork_duplicate(number) })
        }
        room.closeAll()
    }
}
