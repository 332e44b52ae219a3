// The links of a loop, and its servers that resume connections.

import PreforkSystem

/// Where links from the supervisor come in. On the loop's thread only.
final class HandoverDesk {
    private let loop: EventLoop
    private let socket: Int32
    private var watch: Watch?
    private var servers: [[UInt8]: Acceptor] = [:]
    private var giving: GivingLink?
    private var taking: [ObjectIdentifier: TakingLink] = [:]
    /// How long the move of all connections may take when this process leaves.
    let limit: Duration

    init(_ socket: Int32, on loop: EventLoop, within limit: Duration) throws(SystemError) {
        self.socket = socket
        self.loop = loop
        self.limit = limit
        let made = Watch(socket) { [weak self] _ in self?.look() }
        try loop.add(made, for: .readable)
        watch = made
    }

    /// Takes the links that have come.
    func look() {
        while watch != nil {
            let (end, isOver) = LinkNews.take(from: socket)
            if let end { begin(end) }
            if isOver, let over = watch {
                // The supervisor's end is closed. The socket stays open: its number is known to be this.
                watch = nil
                loop.remove(over)
            }
            if end == nil { return }
        }
    }

    private func begin(_ end: LinkEnd) {
        switch end.role {
        case .taking:
            let link = TakingLink(end.number, on: loop)
            taking[ObjectIdentifier(link)] = link
            link.whenOver = { [weak self, weak link] in
                if let link { self?.taking[ObjectIdentifier(link)] = nil }
            }
            if !servers.isEmpty { link.greet() }
        case .giving:
            // The last one counts: the successor of the one before is gone.
            giving?.finish(.gone)
            let link = GivingLink(end.number, on: loop, most: end.most)
            giving = link
            // Balance begins now, and the end of this process when it is asked for.
            for server in servers.values { server.mayGive(by: link) }
        }
    }

    /// By which the servers of this process give their connections away when it leaves.
    var link: GivingLink? {
        look()
        guard let giving, !giving.isOver, !giving.keepsServing else { return nil }
        return giving
    }

    func add(_ server: Acceptor) {
        guard let key = server.handoverKey else { return }
        servers[key] = server
        for link in taking.values { link.greet() }
    }

    func remove(_ server: Acceptor) {
        guard let key = server.handoverKey, servers[key] === server else { return }
        servers[key] = nil
    }

    func server(of listener: [UInt8], _ protocolName: [UInt8]) -> Acceptor? {
        servers[Self.key(listener, protocolName)]
    }

    static func key(_ listener: [UInt8], _ protocolName: [UInt8]) -> [UInt8] { protocolName + [0] + listener }
}

extension EventLoop {
    /// Connections of servers on this loop may move to other processes and come from there, as the supervisor arranges it.
    /// Does nothing in a process without a way for that, or where a loop has it already.
    ///
    /// - Parameter limit: the time for a leaving process to move all.
    package func moveConnections(within limit: Duration) {
        guard let number = LinkNews.descriptorToWatch() else { return }
        do throws(SystemError) {
            handover = try HandoverDesk(number, on: self, within: limit)
        } catch {
            StandardErrorLines.say(
                "error", "connections will not move from or to this process: \(error)", by: "handover")
        }
    }
}
