// A link by which this process takes connections over.

import PreforkSystem

/// A connection that may be taken: its socket, what is known of it, and its handler.
struct ArrivedConnection {
    let socket: Int32
    let fields: HandoverFields
    let state: HandedState
    let handler: ConnectionResumption.Handler
    let server: Acceptor
}

/// Receives offers, checks them, and answers. The other process has the same rights and is not trusted all the same: it may
/// have been taken over by its clients. On the loop's thread only.
final class TakingLink {
    private static let offersPerTurn = 16

    private let loop: EventLoop
    private let end: Int32
    private var watch: Watch?
    private var watchesWriting = false
    private var isClosed = false
    private var hasGreeted = false
    /// Taken, and its answer is not in the socket yet. Nothing else is received meanwhile.
    private var unanswered: (number: UInt64, arrived: ArrivedConnection)?
    private var unsentRefusal: HandoverPacket?
    private var room = [UInt8](repeating: 0, count: HandoverPacket.byteCount + HandoverFields.mostWithin)
    var whenOver: () -> Void = {}

    /// - Parameter end: closed by this object.
    init(_ end: Int32, on loop: EventLoop) {
        self.end = end
        self.loop = loop
    }

    deinit { if !isClosed { closeDescriptor(end) } }

    /// Offers may come from now on.
    func greet() {
        guard !hasGreeted, !isClosed else { return }
        hasGreeted = true
        let made = Watch(end) { [weak self] _ in self?.turn() }
        do throws(SystemError) {
            try loop.add(made, for: .readable)
            watch = made
            guard try send(HandoverPacket(.hello)) else { return close() }
            loop.onHandoverStep?(.helloSent)
        } catch {
            close()
        }
    }

    private func turn() {
        guard !isClosed else { return }
        do throws(SystemError) {
            guard try sendUnsent() else { return try watchWhatIsNext() }
            for _ in 0..<Self.offersPerTurn {
                guard let packet = try receive() else { break }
                if packet.byteCount == 0 { return close() }
                guard try handle(packet) else { break }
            }
            try watchWhatIsNext()
        } catch {
            // The other process is gone, or has taken back what it offered.
            close()
        }
    }

    private func watchWhatIsNext() throws(SystemError) {
        guard let watch, isSending != watchesWriting else { return }
        try loop.modify(watch, for: isSending ? .writable : .readable)
        watchesWriting = isSending
    }

    private var isSending: Bool { unanswered != nil || unsentRefusal != nil }

    private func receive() throws(SystemError) -> PassedPacket? {
        try room.withUnsafeMutableBufferPointer { (bytes) throws(SystemError) in
            try DescriptorPassing.receive(into: UnsafeMutableRawBufferPointer(bytes), from: end)
        }
    }

    /// - Returns: false if the answer must wait.
    private func handle(_ packet: PassedPacket) throws(SystemError) -> Bool {
        var descriptors = packet.descriptors
        defer { for number in descriptors { closeForeignDescriptor(number) } }
        let head = room.withUnsafeBytes {
            try? HandoverPacket(UnsafeRawBufferPointer(rebasing: $0[..<packet.byteCount]))
        }
        guard let head, head.kind == .offer else { throw SystemError("recvmsg", .invalidArgument, on: "link \(end)") }
        loop.onHandoverStep?(.received)
        switch judge(head, packet) {
        case .failure(let verdict): return try answer(refusing: head.number, verdict.reason)
        case .success(let arrived):
            // Not closed at the end of this call.
            descriptors.removeFirst()
            unanswered = (head.number, arrived)
            return try sendUnsent()
        }
    }

    private struct Refused: Error { let reason: HandoverRefusal }

    private func judge(_ head: HandoverPacket, _ packet: PassedPacket) -> Result<ArrivedConnection, Refused> {
        let needed = head.detail == 1 ? 2 : 1
        if packet.isTruncated, packet.descriptors.count < needed { return .failure(Refused(reason: .noDescriptor)) }
        guard head.detail <= 1, packet.descriptors.count == needed, !packet.isTruncated,
            let fields = fields(head, packet), let peer = SocketAddress(kernelBytes: fields.peer),
            Socket.prepareReceived(packet.descriptors[0])
        else { return .failure(Refused(reason: .malformed)) }
        guard let server = loop.handover?.server(of: fields.listener, fields.protocolName),
            let resumption = server.resumption
        else { return .failure(Refused(reason: .noServer)) }
        if let reason = server.refusal { return .failure(Refused(reason: reason)) }
        guard resumption.versions.contains(fields.version) else { return .failure(Refused(reason: .version)) }
        let state = HandedState(
            version: fields.version, state: fields.state, peer: peer, unreadCount: fields.unread.count,
            hasReceived: fields.hasReceived, moves: Int(fields.moves),
            accepted: MonotonicInstant(nanoseconds: fields.accepted))
        guard let handler = try? resumption.prepare(state) else { return .failure(Refused(reason: .state)) }
        return .success(
            ArrivedConnection(
                socket: packet.descriptors[0], fields: fields, state: state, handler: handler, server: server))
    }

    private func fields(_ head: HandoverPacket, _ packet: PassedPacket) -> HandoverFields? {
        let now = MonotonicInstant.now.nanoseconds
        if head.detail == 0 {
            return room.withUnsafeBytes {
                HandoverFields(
                    UnsafeRawBufferPointer(rebasing: $0[HandoverPacket.byteCount..<packet.byteCount]), now: now)
            }
        }
        // A duplicate: the packet's own is closed with the others.
        guard packet.byteCount == HandoverPacket.byteCount, let number = try? duplicate(packet.descriptors[1])
        else { return nil }
        let file = MemoryFile(owning: Descriptor(owning: number))
        guard let count = try? file.sealedByteCount(), (1...HandoverFields.mostInAll).contains(count) else {
            return nil
        }
        var bytes = [UInt8](repeating: 0, count: count)
        let isWhole = try? bytes.withUnsafeMutableBytes { (bytes) throws(SystemError) in try file.read(into: bytes) }
        return isWhole == true ? bytes.withUnsafeBytes { HandoverFields($0, now: now) } : nil
    }

    private func answer(refusing number: UInt64, _ reason: HandoverRefusal) throws(SystemError) -> Bool {
        unsentRefusal = HandoverPacket(.refused, detail: reason.rawValue, number: number)
        return try sendUnsent()
    }

    /// A connection is this process's when its answer is in the socket, and not before.
    ///
    /// - Returns: false if the socket takes nothing now.
    private func sendUnsent() throws(SystemError) -> Bool {
        if let refusal = unsentRefusal {
            guard try send(refusal) else { return false }
            unsentRefusal = nil
            loop.onHandoverStep?(.refusedSent)
        }
        if let (number, arrived) = unanswered {
            guard try send(HandoverPacket(.taken, number: number)) else { return false }
            unanswered = nil
            loop.onHandoverStep?(.takenSent)
            arrived.server.takeOver(arrived)
        }
        return true
    }

    private func send(_ packet: HandoverPacket) throws(SystemError) -> Bool {
        try packet.bytes.withUnsafeBufferPointer { (bytes) throws(SystemError) in
            try DescriptorPassing.send(UnsafeRawBufferPointer(bytes), passing: [], to: end)
        }
    }

    private func close() {
        guard !isClosed else { return }
        isClosed = true
        if let watch { loop.remove(watch) }
        watch = nil
        if let (_, arrived) = unanswered { closeForeignDescriptor(arrived.socket) }
        unanswered = nil
        closeDescriptor(end)
        whenOver()
    }
}
