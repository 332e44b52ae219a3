// Descriptors that the kernel keeps for all processes that have a socket.

import CPrefork
import Glibc

/// Packets with descriptors that stay in a socket: a process that has the shelf reads them (SO_PEEK_OFF and MSG_PEEK,
/// which copies descriptors), adds one, or sorts some out. What lies there is open for as long as any process has the
/// shelf, whichever process has put it there. The processes themselves have no such descriptor.
///
/// One process at a time: the peek offset belongs to the socket. A process that ignores that, or that fills the shelf,
/// empties it or puts something else there, makes calls throw or find less. No call waits, or reads more than
/// `mostPackets`.
package final class ParkedDescriptors: Sendable {
    /// A packet as it lies there.
    package struct Packet: Sendable {
        package let bytes: [UInt8]
        /// In front of it lie so many bytes.
        fileprivate let offset: Int
    }

    /// A socket of the usual size holds 278 of them.
    private static let mostPackets = 512
    /// No packet has more.
    package static let longestPacket = 2048

    private let pair: PacketPair

    package init() throws(SystemError) {
        pair = try PacketPair()
    }

    /// One that the previous image has left.
    package init(adopting first: Int32, _ second: Int32) {
        pair = PacketPair(adopting: first, second)
    }

    package var numbers: [Int32] { pair.numbers }

    private var front: Int32 { pair.first.number }
    private var back: Int32 { pair.second.number }

    /// All that lies there, without descriptors.
    ///
    /// - Returns: also whether it is certain that there is no more.
    package func list() throws(SystemError) -> (packets: [Packet], isWhole: Bool) {
        try DescriptorPassing.setPeekOffset(of: back, to: 0)
        defer { try? DescriptorPassing.setPeekOffset(of: back, to: nil) }
        var packets: [Packet] = []
        var offset = 0
        for _ in 0..<Self.mostPackets {
            guard let (length, bytes) = try next() else { return (packets, true) }
            packets.append(Packet(bytes: bytes, offset: offset))
            offset += length
            // After a packet that is too long, and so not of this package, the socket would continue in its middle.
            if length > bytes.count { try DescriptorPassing.setPeekOffset(of: back, to: offset) }
        }
        return (packets, false)
    }

    /// - Returns: its true length, and its bytes. No bytes for a packet that is longer than any of this package, for an
    ///   empty packet, and at the end of a socket that a process has shut.
    private func next() throws(SystemError) -> (length: Int, bytes: [UInt8])? {
        var failure: SystemError?
        var length = 0
        let flags = Int32(MSG_PEEK) | Int32(MSG_DONTWAIT) | Int32(MSG_TRUNC)
        let bytes = [UInt8](unsafeUninitializedCapacity: Self.longestPacket) { space, count in
            do throws(SystemError) {
                length = try systemCall("recv", on: "socket \(back)") {
                    recv(back, space.baseAddress, space.count, flags)
                }
                count = length > space.count ? 0 : length
            } catch {
                failure = error
            }
        }
        if failure?.errno == .wouldBlock { return nil }
        if let failure { throw failure }
        return (length, bytes)
    }

    /// Copies of a packet's descriptors, which are the caller's.
    ///
    /// - Returns: nil when it does not lie there any more.
    /// - Throws: EMFILE.
    package func descriptors(of packet: Packet, atMost count: Int) throws(SystemError) -> [Int32]? {
        try DescriptorPassing.checkRoom(for: count, by: back)
        try DescriptorPassing.setPeekOffset(of: back, to: packet.offset)
        defer { try? DescriptorPassing.setPeekOffset(of: back, to: nil) }
        guard let (bytes, copy) = try receive(DescriptorPassing.copy) else { return nil }
        if bytes == packet.bytes, !copy.isTruncated, copy.descriptors.count <= count { return copy.descriptors }
        for number in copy.descriptors { closeForeignDescriptor(number) }
        return nil
    }

    private func receive(
        _ call: (UnsafeMutableRawBufferPointer, Int32) throws(SystemError) -> PassedPacket?
    ) throws(SystemError) -> ([UInt8], PassedPacket)? {
        var bytes = [UInt8](repeating: 0, count: Self.longestPacket)
        var failure: SystemError?
        let packet = bytes.withUnsafeMutableBytes { space -> PassedPacket? in
            do throws(SystemError) { return try call(space, back) } catch { failure = error }
            return nil
        }
        if let failure { throw failure }
        return packet.map { (Array(bytes.prefix($0.byteCount)), $0) }
    }

    /// - Parameter descriptors: stay the caller's.
    /// - Returns: false when there is no room.
    package func put(_ bytes: [UInt8], _ descriptors: [Int32]) throws(SystemError) -> Bool {
        var failure: SystemError?
        let isThere = bytes.withUnsafeBytes { bytes -> Bool in
            do throws(SystemError) {
                return try DescriptorPassing.send(bytes, passing: descriptors, to: front)
            } catch {
                failure = error
            }
            return false
        }
        if let failure { throw failure }
        return isThere
    }

    /// Throws away what `isKept` does not want, each packet once. A packet that stays is there at every moment, for a while
    /// twice, unless the shelf is full. A process that is killed here leaves one packet too many.
    ///
    /// The caller must bear that the kernel makes it wait for what another process has put there (SO_LINGER).
    ///
    /// - Parameter count: of descriptors that a packet has at most.
    package func sort(atMost count: Int, _ isKept: ([UInt8]) -> Bool) throws(SystemError) {
        try DescriptorPassing.checkRoom(for: 2 * DescriptorPassing.limit, by: back)
        // No more: those that are kept come round again.
        for _ in 0..<(try list().packets.count) {
            guard let (bytes, copy) = try receive(DescriptorPassing.copy) else { return }
            let isKept = !copy.isTruncated && copy.descriptors.count <= count && !bytes.isEmpty && isKept(bytes)
            defer { for number in copy.descriptors { closeForeignDescriptor(number) } }
            let isMoved = isKept ? try put(bytes, copy.descriptors) : false
            guard let (_, taken) = try receive(DescriptorPassing.receive) else { return }
            for number in taken.descriptors { closeForeignDescriptor(number) }
            // Another process has filled the shelf. For a moment this process alone has the packet.
            if isKept, !isMoved { _ = try put(bytes, copy.descriptors) }
        }
    }
}
