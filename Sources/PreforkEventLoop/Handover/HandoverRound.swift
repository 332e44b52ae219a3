// The connections of one server that move by one link.

import PreforkSystem

/// Which of a server's connections move next. On the loop's thread only.
final class HandoverRound {
    let link: GivingLink
    private let connections: ConnectionSet
    private let listener: [UInt8]
    private let resumption: ConnectionResumption
    private let whenOver: (HandoverRefusal) -> Void
    /// Those that have not been asked, or had to wait for room. One that is busy comes by itself, between two messages.
    private var waiting: [Connection]
    /// Handlers that were woken and have not come back to the place where they wait.
    private var woken = 0

    init(
        _ link: GivingLink, _ connections: ConnectionSet, listener: [UInt8], _ resumption: ConnectionResumption,
        whenOver: @escaping (HandoverRefusal) -> Void
    ) {
        self.link = link
        self.connections = connections
        self.listener = listener
        self.resumption = resumption
        self.whenOver = whenOver
        waiting = connections.all
    }

    /// Of a server that ends when all have moved.
    var isOfLeaving: Bool { !link.keepsServing }

    var isDone: Bool { link.keepsServing ? waiting.isEmpty && woken == 0 : connections.movableCount == 0 }

    /// Those of which no state is known are drained at once.
    func begin() {
        guard !link.keepsServing else { return }
        for connection in waiting where connection.channel.pack == nil && !resumption.movesWithoutState {
            refuse(connection, .immovable)
        }
        connections.onStep?(.drainBegan)
    }

    /// Wakes handlers that wait between messages: each offers its own connection.
    func wakeIdle(atMost room: Int) {
        var rest = room
        while rest > 0, let connection = waiting.popLast() {
            if connection.channel.wakeIfIdle() {
                rest -= 1
                woken += 1
            }
        }
    }

    /// Offers a connection whose handler waits between messages.
    ///
    /// - Returns: whether it moves now. Its reading task then waits for the answer.
    func offer(_ channel: StreamChannel, unread: UnsafeRawBufferPointer, hasReceived: Bool) -> Bool {
        woken = max(0, woken - 1)
        guard channel.mayMove, let connection = connections.connection(of: channel) else { return false }
        guard link.room > 0 else {
            if !link.isOver { waiting.append(connection) }
            return false
        }
        guard connection.writer.holdForMove() else {
            // Another task writes. What comes after that goes to the successor.
            waiting.append(connection)
            link.tryAgainLater()
            return false
        }
        guard let fields = pack(connection, unread, hasReceived) else {
            connection.writer.endHoldForMove()
            return false
        }
        connections.onStep?(.packed)
        switch link.offer(connection, of: self, fields) {
        case .sent:
            channel.isMoving = true
            return true
        case .notNow: waiting.append(connection)
        case .over: break
        }
        connection.writer.endHoldForMove()
        return false
    }

    /// - Returns: nil if it does not move now, or never.
    private func pack(
        _ connection: Connection, _ unread: UnsafeRawBufferPointer, _ hasReceived: Bool
    ) -> HandoverFields? {
        let channel = connection.channel
        let parcel: HandoverParcel
        do {
            guard
                let packed = try channel.pack.map({ try $0() })
                    ?? (resumption.movesWithoutState ? HandoverParcel() : nil)
            else { return nil }
            parcel = packed
        } catch {
            refuse(connection, .failed)
            return nil
        }
        let fields = HandoverFields(
            accepted: channel.accepted.nanoseconds, written: channel.written, moves: channel.moves,
            version: resumption.versions.upperBound, hasReceived: hasReceived, listener: listener,
            protocolName: Array(resumption.name.utf8), peer: connection.peer.kernelBytes,
            unread: unread.count <= HandoverFields.mostBytes ? Array(unread) : [], unsent: parcel.unsent,
            state: parcel.state)
        guard unread.count <= HandoverFields.mostBytes, fields.isWithinLimits else {
            refuse(connection, .tooLarge)
            return nil
        }
        return fields
    }

    /// A connection was offered and stays. The next process may take it if this one is gone.
    func comesBack(_ connection: Connection, _ reason: HandoverRefusal) {
        if reason == .gone { BuiltInMetrics.countMoves("\(reason)") } else { refuse(connection, reason) }
    }

    /// A connection does not move. A server that leaves drains it, and one that keeps serving goes on with it.
    func refuse(_ connection: Connection, _ reason: HandoverRefusal) {
        BuiltInMetrics.countMoves("\(reason)")
        if !link.keepsServing { connections.refuse(connection, reason) }
    }

    /// A connection has ended, by moving or by itself.
    func connectionEnded() { link.finishIfDone() }

    /// The link is over.
    func isOver(_ reason: HandoverRefusal) {
        waiting = []
        if reason == .late, !link.keepsServing { BuiltInMetrics.countMoves("\(reason)", connections.movableCount) }
        connections.endRound(self)
        whenOver(reason)
    }
}
