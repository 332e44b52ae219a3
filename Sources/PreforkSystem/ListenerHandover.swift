// What a listener leaves to the next image of its program, and what that one finds.

extension Listener {
    private static let handoverKind = "listener"

    /// A socket at a Unix path is found by the path: its mode may be another one now. An SO_REUSEPORT group is found by
    /// its address: it may have another number of queues.
    static func left(for endpoint: Endpoint, key: String, _ sharing: AcceptSharing) -> HandoverItem? {
        if let left = Handover.take(handoverKind, key: key) { return left }
        if case .reusePort = sharing {
            // `tcp("0.0.0.0", 80) reusePort(queues: ` as in the key of any number.
            let beginning = "\(endpoint) \(AcceptSharing.reusePort(queues: 1))".dropLast(2)
            return Handover.take(handoverKind) { $0.hasPrefix(beginning) }
        }
        guard case .unix(let name, _) = endpoint else { return nil }
        // `unix("/run/app.sock", mode: ` as in the key of any mode.
        let beginning = "\(Endpoint.unix(name, mode: 0))".dropLast(2)
        return Handover.take(handoverKind) { $0.hasPrefix(beginning) }
    }

    /// - Parameter text: of the image before, where there is no file to tell of.
    static func item(
        _ key: String, _ sockets: [Int32], _ file: UnixSocketFile?, text: String = ""
    ) -> HandoverItem {
        HandoverItem(kind: handoverKind, key: key, descriptors: sockets, text: file?.handoverText ?? text)
    }

    /// - Parameter mode: what the file gets; nil leaves it as it is.
    static func adopt(_ path: String, _ left: HandoverItem, mode: UInt32?) -> UnixSocketFile? {
        let file = UnixSocketFile.adopt(path, text: left.text)
        guard let file, let mode else { return file }
        do {
            try file.changeMode(mode)
        } catch {
            // The program before is gone: its service must not end because of this.
            StandardErrorLines.say("warning", "\(path) keeps its mode: \(error)", by: "mode of \(path)")
        }
        return file
    }
}

extension SocketAddress {
    /// For the next image of this program, without spaces; nil for what getsockname(2) tells without the socket's lock.
    ///
    /// A worker can hold that lock for as long as it likes, and has changed what is told when it has connected or shut
    /// down the socket.
    var handoverText: String? {
        switch self {
        case .ipv4(let address, let port): "4,\(address),\(port)"
        case .ipv6(let high, let low, let port, let scope): "6,\(high),\(low),\(port),\(scope)"
        case .unix, .other: nil
        }
    }

    /// - Parameter text: of a listener of the image before: its address, if it has one, and then other things.
    init?(handoverText text: String) {
        let words = text.prefix { $0 != " " }.split(separator: ",").map { UInt64($0) }
        switch (words.first, words.count) {
        case (4, 3):
            guard let address = words[1].flatMap({ UInt32(exactly: $0) }),
                let port = words[2].flatMap({ UInt16(exactly: $0) })
            else { return nil }
            self = .ipv4(address, port: port)
        case (6, 5):
            guard let high = words[1], let low = words[2], let port = words[3].flatMap({ UInt16(exactly: $0) }),
                let scope = words[4].flatMap({ UInt32(exactly: $0) })
            else { return nil }
            self = .ipv6(high, low, port: port, scope: scope)
        default:
            return nil
        }
    }

    /// Where a socket of the image before is bound.
    init(of socket: Int32, left text: String?) throws(SystemError) {
        if let text, let address = SocketAddress(handoverText: text) {
            self = address
        } else {
            self = try Socket.localAddress(socket)
        }
    }
}
