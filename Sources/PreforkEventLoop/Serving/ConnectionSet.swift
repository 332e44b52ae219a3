// The open connections of one `serve`.

/// Counts the connections of a server and informs the ones between messages when it drains. On the loop's thread only.
final class ConnectionSet: @unchecked Sendable {
    // Sendable: mutated on the loop's thread. The connections' handlers read `isDraining` there, too.
    private(set) var isDraining = false
    /// Set while connections move to another process. They are not told of the end meanwhile.
    private(set) var round: HandoverRound?
    /// How many have been told of the end alone, because they do not move.
    private var refusedCount = 0
    /// Tests of the steps of a move.
    var onStep: (@Sendable (HandoverStep) -> Void)?
    /// The process that took connections over is gone, and another one may come.
    var waitsForSuccessor = false
    private var linger = Linger.none
    /// By their channels.
    private var connections: [ObjectIdentifier: Connection] = [:]

    var count: Int { connections.count }

    var all: [Connection] { Array(connections.values) }

    /// If nil, it has ended.
    func connection(of channel: StreamChannel) -> Connection? { connections[ObjectIdentifier(channel)] }

    /// How many may still move.
    var movableCount: Int { connections.count - refusedCount }

    /// Whether this process alone leaves, or all of the service.
    var isLeaving: Bool { isDraining || waitsForSuccessor || round?.isOfLeaving == true }

    func insert(_ connection: Connection) {
        connections[ObjectIdentifier(connection.channel)] = connection
    }

    func remove(_ connection: Connection) {
        connections[ObjectIdentifier(connection.channel)] = nil
        if connection.channel.refusal != nil { refusedCount -= 1 }
        round?.connectionEnded()
    }

    func begin(_ round: HandoverRound) { self.round = round }

    func endRound(_ ended: HandoverRound) { if round === ended { round = nil } }

    /// A connection does not move, and is told of the end before the others are.
    func refuse(_ connection: Connection, _ reason: HandoverRefusal) {
        let channel = connection.channel
        guard channel.refusal == nil, self.connection(of: channel) != nil else { return }
        channel.refusal = reason
        refusedCount += 1
        channel.serverDrains()
    }

    /// Whose first or next message is waited for while it drains.
    enum Linger {
        case none
        /// Of connections that have not sent anything: a client sends its request a moment after it has connected, or
        /// the request is on its way.
        case first
        /// Of all between messages. A client that keeps its connection may have sent the next request already. To close
        /// then would lose it (RFC 9112, 9.6).
        case next
    }

    /// - Parameter linger: until `endLingering`.
    func drain(_ linger: Linger) {
        let begins = !isDraining
        waitsForSuccessor = false
        isDraining = true
        self.linger = linger
        if begins { connections.values.forEach { $0.channel.serverDrains() } }
        if linger != .next { wakeIdle() }
    }

    func endLingering() { drain(.none) }

    /// Whether one between messages may still send one.
    ///
    /// - Parameters:
    ///   - isFirst: it has not sent anything.
    ///   - hasSent: it has sent something since the draining began.
    func maySend(isFirst: Bool, hasSent: Bool) -> Bool {
        switch linger {
        case _ where !isDraining: true
        case .none: false
        case .first: isFirst
        case .next: !hasSent
        }
    }

    private func wakeIdle() {
        for connection in connections.values { connection.channel.wakeIfIdle() }
    }
}
