// A connection that a worker has in hand, as its supervisor sees it.

import Synchronization

/// The mark of one connection. It is in the ring only while the connection has a message in hand: an idle kept
/// connection is not a request. On the loop's thread only.
package struct ConnectionMark {
    private let ring: RequestRing
    private let peer: (info: UInt64, high: UInt64, low: UInt64)
    private var slot = 0
    private var sequence: UInt64 = 0
    private var isActive = false
    /// Bytes that were read from the connection so far.
    private var bytesRead: UInt64 = 0

    package init(in ring: RequestRing, peer: SocketAddress) {
        self.ring = ring
        self.peer = peer.words
    }

    /// A message begins, or the connection's handler does. Has no effect if one has begun.
    package mutating func begin() {
        guard !isActive, ring.own.pointee.isOnLoop else { return }
        isActive = true
        (slot, sequence) = ring.beginConnection(peer, bytesRead)
    }

    /// No message is in hand any more.
    package mutating func end() {
        guard isActive, ring.own.pointee.isOnLoop else { return }
        isActive = false
        ring.endConnection(slot, sequence)
    }

    package mutating func noteRead(_ count: Int) {
        bytesRead &+= UInt64(clamping: count)
        if isActive { ring.noteRead(bytesRead, slot, sequence) }
    }
}

extension RequestRing {
    /// On the loop's thread.
    fileprivate func beginConnection(
        _ peer: (info: UInt64, high: UInt64, low: UInt64), _ bytesRead: UInt64
    ) -> (slot: Int, sequence: UInt64) {
        typealias Layout = RequestRingLayout
        let free = own.pointee.freeConnections.trailingZeroBitCount
        let slot = free == UInt64.bitWidth ? Layout.connectionSpare : Layout.firstConnection + free
        if slot == Layout.connectionSpare { store(0, Layout.state(slot)) }
        own.pointee.freeConnections &= own.pointee.freeConnections &- 1
        own.pointee.sequence &+= 2
        own.pointee.connections &+= 1
        store(own.pointee.connections, Layout.Head.connections)
        writeConnection(slot, peer, bytesRead)
        publish(slot, own.pointee.sequence)
        return (slot, own.pointee.sequence)
    }

    private func writeConnection(
        _ slot: Int, _ peer: (info: UInt64, high: UInt64, low: UInt64), _ bytesRead: UInt64
    ) {
        typealias Layout = RequestRingLayout
        orderBeforeFields()
        store(own.pointee.turn, Layout.field(slot, Layout.Field.start))
        store(own.pointee.task, Layout.field(slot, Layout.Field.task))
        store(peer.high, Layout.field(slot, Layout.Field.high))
        store(peer.low, Layout.field(slot, Layout.Field.low))
        store(peer.info, Layout.field(slot, Layout.Field.info))
        store(bytesRead, Layout.field(slot, Layout.Field.bytesRead))
    }

    fileprivate func noteRead(_ count: UInt64, _ slot: Int, _ sequence: UInt64) {
        guard own.pointee.owners[slot].load(ordering: .relaxed) == sequence else { return }
        store(count, RequestRingLayout.field(slot, RequestRingLayout.Field.bytesRead))
    }

    fileprivate func endConnection(_ slot: Int, _ sequence: UInt64) {
        own.pointee.connections &-= 1
        store(own.pointee.connections, RequestRingLayout.Head.connections)
        // Another connection without a slot may have been named meanwhile.
        guard own.pointee.owners[slot].load(ordering: .relaxed) == sequence else { return }
        own.pointee.owners[slot].store(0, ordering: .relaxed)
        store(0, RequestRingLayout.state(slot))
        guard slot != RequestRingLayout.connectionSpare else { return }
        own.pointee.freeConnections |= 1 << UInt64(slot - RequestRingLayout.firstConnection)
    }
}

extension SocketAddress {
    private enum Family: UInt64 {
        case none = 0
        case ipv4, ipv6, unix
    }

    /// As three words. Of a Unix socket the kind alone: clients have no names there.
    fileprivate var words: (info: UInt64, high: UInt64, low: UInt64) {
        switch self {
        case .ipv4(let address, let port): (Family.ipv4.rawValue | UInt64(port) << 8, 0, UInt64(address))
        case .ipv6(let high, let low, let port, let scope):
            (Family.ipv6.rawValue | UInt64(port) << 8 | UInt64(scope) << 32, high, low)
        case .unix: (Family.unix.rawValue, 0, 0)
        case .other: (Family.none.rawValue, 0, 0)
        }
    }

    /// The mark that `words` were made of, or nil for any other words.
    init?(info: UInt64, high: UInt64, low: UInt64) {
        let port = UInt16(truncatingIfNeeded: info >> 8)
        switch Family(rawValue: info & 0xFF) {
        case .ipv4: self = .ipv4(UInt32(truncatingIfNeeded: low), port: port)
        case .ipv6: self = .ipv6(high, low, port: port, scope: UInt32(truncatingIfNeeded: info >> 32))
        case .unix: self = .unix(path: "")
        case nil, .some(.none): return nil
        }
    }
}
