// The open connections of one `serve`.

/// Counts the connections of a server and tells those between messages when it drains. On the loop's thread only.
final class ConnectionSet: @unchecked Sendable {
    // Sendable: mutated on the loop's thread; `isDraining` is asked there too, by the connections' handlers.
    private(set) var isDraining = false
    /// While it drains: connections between messages may still send one. A client that keeps its connection may have
    /// sent the next request already; to close then would lose it (RFC 9112, 9.6).
    private(set) var isLingering = false
    private var channels: [ObjectIdentifier: StreamChannel] = [:]

    var count: Int { channels.count }

    func insert(_ connection: Connection) {
        channels[ObjectIdentifier(connection.channel)] = connection.channel
    }

    func remove(_ connection: Connection) {
        channels.removeValue(forKey: ObjectIdentifier(connection.channel))
    }

    /// - Parameter lingers: until `endLingering`, those between messages are waited for.
    func drain(lingers: Bool) {
        isDraining = true
        isLingering = lingers
        if !lingers { wakeIdle() }
    }

    func endLingering() {
        isLingering = false
        wakeIdle()
    }

    private func wakeIdle() {
        for channel in channels.values { channel.wakeIfIdle() }
    }
}
