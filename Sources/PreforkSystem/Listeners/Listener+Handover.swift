// The handover of a listener to the next image of its program.

import Glibc
import Synchronization

extension Listener {
    private static let handoverKind = "listener"

    /// Appended to the key of an SO_REUSEPORT group of which older workers do not have all sockets: an image that finds
    /// it must not rely on them, however many queues it requests.
    static let incomplete = " incomplete"

    /// In the supervisor, when new workers have taken the places of all others: each worker has all sockets of each
    /// listener.
    package static func noteThatWorkersHaveAll() {
        for listener in all { listener.noteThatWorkersHaveAll() }
    }

    private func noteThatWorkersHaveAll() {
        place.withLock { place in
            guard place.isOpen, var item = place.item, item.key.hasSuffix(Self.incomplete) else { return }
            item.key.removeLast(Self.incomplete.count)
            Handover.withdraw(place.offer)
            place.item = item
            place.offer = Handover.offer(item)
        }
    }

    /// A socket at a Unix path is found by the path: its mode may be another one now. So is a group of SO_REUSEPORT
    /// sockets by its address: it may have another number of queues now.
    ///
    /// - Throws: EINVAL for a listener that is shared in a way that what is left cannot be.
    static func left(for endpoint: Endpoint, sharing: AcceptSharing, key: String) throws(SystemError) -> HandoverItem? {
        if let left = Handover.take(handoverKind, key: key) { return left }
        guard case .unix(let name, _, _) = endpoint else { return try group(at: endpoint, sharing: sharing) }
        // `unix("/run/app.sock", mode: ` as in the key of any mode.
        let beginning = "\(Endpoint.unix(name, mode: 0))".dropLast(2)
        return Handover.take(handoverKind) { $0.hasPrefix(beginning) }
    }

    private static func group(at endpoint: Endpoint, sharing: AcceptSharing) throws(SystemError) -> HandoverItem? {
        guard let left = Handover.find(handoverKind, where: { $0.hasPrefix("\(endpoint) ") }) else { return nil }
        let before = left.key.dropFirst("\(endpoint) ".utf8.count)
        let wasGroup = before != "\(AcceptSharing.sharedQueue)"
        guard case .reusePort = sharing, wasGroup else {
            let error = SystemError(
                "upgrade", .invalidArgument,
                on: "\(endpoint): the running program shares it by \(before), which cannot become \(sharing)")
            TrialReport.tell(.refusal("\(error)"))
            throw error
        }
        return Handover.take(handoverKind, key: left.key)
    }

    /// In a trial run, the reason why a listener is not available becomes the reason why the running program refuses
    /// the upgrade.
    static func tellingTrial<Result>(_ body: () throws(SystemError) -> Result) throws(SystemError) -> Result {
        do throws(SystemError) {
            return try body()
        } catch {
            TrialReport.tell(.refusal("\(error)"))
            throw error
        }
    }

    /// What the program has said of it, for people.
    package var terms: String {
        var terms = [backlog == .max ? "backlog as bound elsewhere" : "backlog \(backlog)"]
        if let binding { terms.append("mode \(String(binding.mode, radix: 8))") }
        if let owner = binding?.owner, owner != SocketOwner.Numbers() { terms.append("owner \(owner)") }
        if queues > 1 { terms.append("\(queues) queues") }
        return terms.joined(separator: ", ")
    }

    /// - Parameter text: from the previous image, if there is no file to describe.
    static func item(
        _ key: String, _ sockets: [Int32], _ file: UnixSocketFile?, text: String = ""
    ) -> HandoverItem {
        HandoverItem(kind: handoverKind, key: key, descriptors: sockets, text: file?.handoverText ?? text)
    }

    /// - Parameter binding: what the file gets, where that was not what it had got.
    static func adopt(
        _ path: String, _ left: HandoverItem, _ binding: (key: String, mode: UInt32, owner: SocketOwner.Numbers)?
    ) -> UnixSocketFile? {
        let file = UnixSocketFile.adopt(path, text: left.text)
        // The program after this one, which is gone, may have changed them.
        guard let file, let binding, left.key != binding.key || Handover.returned != nil else { return file }
        let before = "\(Endpoint.unix(path, mode: 0))".dropLast(2)
        let hadOwner = left.key.hasPrefix(before) && left.key.dropFirst(before.count).contains(", owner: ")
        do {
            try file.change(mode: binding.mode, owner: binding.owner, takesBack: hadOwner)
        } catch {
            // The previous program is gone, and its service must not end because of this.
            StandardErrorLines.say("warning", "\(path) keeps its mode or owner: \(error)", by: "mode of \(path)")
        }
        return file
    }
}

extension SocketAddress {
    /// For the next image of this program, without spaces. Nil for what getsockname(2) reports without the socket's
    /// lock.
    ///
    /// A worker can hold that lock for as long as it likes, and has changed what is reported if it has connected or
    /// shut down the socket.
    package var handoverText: String? {
        switch self {
        case .ipv4(let address, let port): "4,\(address),\(port)"
        case .ipv6(let high, let low, let port, let scope): "6,\(high),\(low),\(port),\(scope)"
        case .unix, .other: nil
        }
    }

    /// - Parameter text: from a listener of the previous image: its address, if it has one, and then other things.
    package init?(handoverText text: String) {
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

    /// Where a socket of the previous image is bound.
    init(of socket: Int32, left text: String?) throws(SystemError) {
        if let text, let address = SocketAddress(handoverText: text) {
            self = address
        } else {
            self = try Socket.localAddress(socket)
        }
    }
}
