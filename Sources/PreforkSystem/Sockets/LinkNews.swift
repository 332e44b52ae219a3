// How a worker gets the ends of links by which connections move between workers.

import Synchronization

/// An end of a link, as the supervisor has sent it.
package struct LinkEnd: Sendable {
    package enum Role: UInt8, Sendable {
        /// This process gives its connections away by it.
        case giving = 1
        /// This process takes connections over by it.
        case taking = 2
    }

    package let role: Role
    /// How many connections may move at most. 0: all, when this process is asked to leave.
    package let most: UInt32
    /// Closed by its taker.
    package let number: Int32
}

/// Where ends of links come in: a socket from the supervisor, as that of `AccessLogNews`.
package enum LinkNews {
    private static let socket = Atomic<Int32>(-1)

    /// `ForkCount` of the process that has the socket and does not watch it yet.
    private static let unwatched = Atomic<UInt64>(0)

    /// In a new worker.
    package static func listen(at number: Int32) {
        socket.store(number, ordering: .relaxed)
        unwatched.store(ForkCount.current, ordering: .relaxed)
    }

    /// The socket, once. If nil, there is none, or another caller has it.
    package static func descriptorToWatch() -> Int32? {
        unwatched.exchange(0, ordering: .relaxed) == ForkCount.current ? socket.load(ordering: .relaxed) : nil
    }

    /// The packet that says what is sent with it.
    package static func word(_ role: LinkEnd.Role, most: UInt32) -> UInt64 {
        UInt64(role.rawValue) | UInt64(most) << 32
    }

    /// Takes the next end that has come.
    ///
    /// - Parameter number: the socket.
    /// - Returns: nil when none waits. `isOver`: no more can come.
    package static func take(from number: Int32) -> (end: LinkEnd?, isOver: Bool) {
        var word: UInt64 = 0
        while true {
            let packet: PassedPacket?
            do throws(SystemError) {
                packet = try withUnsafeMutableBytes(of: &word) { (bytes) throws(SystemError) in
                    try DescriptorPassing.receive(into: bytes, from: number)
                }
            } catch {
                return (nil, true)
            }
            guard let packet else { return (nil, false) }
            if packet.byteCount == 0 { return (nil, true) }
            guard packet.byteCount == 8, packet.descriptors.count == 1, !packet.isTruncated,
                let role = LinkEnd.Role(rawValue: UInt8(truncatingIfNeeded: word)),
                PacketPair.isEnd(packet.descriptors[0])
            else {
                // Without a descriptor left for it, connections do not move: nothing is lost.
                closeDescriptors(packet.descriptors)
                continue
            }
            return (LinkEnd(role: role, most: UInt32(word >> 32), number: packet.descriptors[0]), false)
        }
    }
}
