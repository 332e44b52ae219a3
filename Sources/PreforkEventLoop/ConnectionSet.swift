// The open connections of one `serve`.

/// Counts the connections of a server and tells those between messages when it drains. On the loop's thread only.
final class ConnectionSet: @unchecked Sendable {
    // Sendable: mutated on the loop's thread; `isDraining` is asked there too, by the connections' handlers.
    private(set) var isDraining = false
    private var channels: [ObjectIdentifier: StreamChannel] = [:]

    var count: Int { channels.count }

    func insert(_ connection: Connection) {
        channels[ObjectIdentifier(connection.channel)] = connection.channel
    }

    func remove(_ connection: Connection) {
        channels.removeValue(forKey: ObjectIdentifier(connection.channel))
    }

    func drain() {
        isDraining = true
        for channel in channels.values { channel.wakeIfIdle() }
    }
}
