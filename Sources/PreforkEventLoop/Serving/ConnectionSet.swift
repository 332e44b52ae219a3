// The open connections of one `serve`.

/// Counts the connections of a server and informs the ones between messages when it drains. On the loop's thread only.
final class ConnectionSet: @unchecked Sendable {
    // Sendable: mutated on the loop's thread. The connections' handlers read `isDraining` there, too.
    private(set) var isDraining = false
    private var linger = Linger.none
    private var channels: [ObjectIdentifier: StreamChannel] = [:]

    var count: Int { channels.count }

    func insert(_ connection: Connection) {
        channels[ObjectIdentifier(connection.channel)] = connection.channel
    }

    func remove(_ connection: Connection) {
        channels.removeValue(forKey: ObjectIdentifier(connection.channel))
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
        isDraining = true
        self.linger = linger
        if begins { channels.values.forEach { $0.serverDrains() } }
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
        for channel in channels.values { channel.wakeIfIdle() }
    }
}
