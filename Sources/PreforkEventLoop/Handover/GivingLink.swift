// A link by which this process gives connections away.

import PreforkSystem

/// Carries out what `HandoverSender` says. On the loop's thread only.
final class GivingLink {
    /// How an offer went.
    enum Offer {
        case sent
        /// Later: too many are under way.
        case notNow
        /// The other process is gone.
        case over
    }

    private let loop: EventLoop
    private let end: Int32
    private var sender: HandoverSender
    private var moving: [UInt64: (connection: Connection, round: HandoverRound)] = [:]
    private var watch: Watch?
    private var rounds: [HandoverRound] = []
    private var deadline: ScheduledCall?
    private var retry: ScheduledCall?
    private var isClosed = false
    /// Whether this process keeps serving: what does not move then stays as it is.
    let keepsServing: Bool

    /// - Parameters:
    ///   - end: closed by this object.
    ///   - most: 0 for all.
    init(_ end: Int32, on loop: EventLoop, most: UInt32) {
        self.end = end
        self.loop = loop
        keepsServing = most > 0
        sender = HandoverSender(most: most == 0 ? .max : Int(most))
    }

    deinit { if !isClosed { closeDescriptor(end) } }

    var isOver: Bool { sender.phase == .over }

    var room: Int { sender.room }

    /// Begins a round of one server's connections. The first one begins the time in which all must be over.
    ///
    /// - Returns: false if the link is over.
    func join(_ round: HandoverRound, within limit: Duration) -> Bool {
        guard !isOver else { return false }
        if watch == nil {
            let made = Watch(end) { [weak self] _ in self?.readAnswers() }
            do throws(SystemError) { try loop.add(made, for: .readable) } catch { return false }
            watch = made
            deadline = loop.call(after: limit) { [weak self] in self?.finish(.late) }
        }
        rounds.append(round)
        // The other servers of the loop begin theirs in the same turn.
        loop.call(after: .zero) { [weak self] in self?.finishIfDone() }
        return true
    }

    /// Offers a connection. If it is sent, it moves until it has an answer.
    func offer(_ connection: Connection, of round: HandoverRound, _ fields: HandoverFields) -> Offer {
        guard sender.room > 0 else { return isOver ? .over : .notNow }
        do throws(SystemError) {
            guard try send(fields, connection.channel.fd) else {
                tryAgainLater()
                return .notNow
            }
        } catch {
            switch error.errno {
            case .tooManyReferences, .noBufferSpace, .noMemory, .tooManyOpenFiles:
                tryAgainLater()
                return .notNow
            default:
                finish(.gone)
                return .over
            }
        }
        moving[sender.nextNumber] = (connection, round)
        sender.offered()
        loop.onHandoverStep?(.offered)
        return .sent
    }

    private func send(_ fields: HandoverFields, _ socket: Int32) throws(SystemError) -> Bool {
        let bytes = fields.bytes
        if bytes.count <= HandoverFields.mostWithin {
            return try send(HandoverPacket(.offer, number: sender.nextNumber).bytes + bytes, [socket])
        }
        let file = try MemoryFile(name: "prefork-connection", byteCount: bytes.count, mode: 0o600)
        try bytes.withUnsafeBufferPointer { (bytes) throws(SystemError) in try file.write(UnsafeRawBufferPointer(bytes))
        }
        let head = HandoverPacket(.offer, detail: 1, number: sender.nextNumber)
        return try send(head.bytes, [socket, file.descriptor.number])
    }

    private func send(_ bytes: [UInt8], _ descriptors: [Int32]) throws(SystemError) -> Bool {
        try bytes.withUnsafeBufferPointer { (bytes) throws(SystemError) in
            try DescriptorPassing.send(UnsafeRawBufferPointer(bytes), passing: descriptors, to: end)
        }
    }

    /// Offers again in a moment, also if no answer comes until then.
    func tryAgainLater() {
        guard retry == nil, !isOver else { return }
        retry = loop.call(after: .milliseconds(5)) { [weak self] in
            self?.retry = nil
            self?.useRoom()
        }
    }

    /// Reads what has come, then offers more.
    private func readAnswers() {
        guard !isOver else { return }
        if let reason = readWaitingAnswers() { return finish(reason) }
        useRoom()
        finishIfDone()
    }

    /// - Returns: why the link is over, if it is.
    private func readWaitingAnswers() -> HandoverRefusal? {
        var head: (UInt64, UInt64, UInt64) = (0, 0, 0)
        while true {
            let packet: PassedPacket?
            do throws(SystemError) {
                packet = try withUnsafeMutableBytes(of: &head) { (bytes) throws(SystemError) in
                    try DescriptorPassing.receive(into: bytes, from: end)
                }
            } catch {
                return .gone
            }
            guard let packet else { return nil }
            // An answer passes nothing.
            for number in packet.descriptors { closeForeignDescriptor(number) }
            guard packet.byteCount == HandoverPacket.byteCount else { return .gone }
            let answer = withUnsafeBytes(of: &head) { try? HandoverPacket(UnsafeRawBufferPointer(rebasing: $0[..<16])) }
            guard let answer, handle(sender.received(answer)) else { return .gone }
        }
    }

    /// - Returns: false for an answer that makes no sense.
    private func handle(_ news: HandoverSender.News) -> Bool {
        switch news {
        case .hello: return true
        case .violation: return false
        case .taken(let number):
            loop.onHandoverStep?(.takenRead)
            BuiltInMetrics.countMoves("moved")
            moving.removeValue(forKey: number)?.connection.isTakenOver()
        case .refused(let number, let reason):
            loop.onHandoverStep?(.refusedRead)
            comesBack(number, reason)
        }
        return true
    }

    private func comesBack(_ number: UInt64, _ reason: HandoverRefusal) {
        guard let (connection, round) = moving.removeValue(forKey: number) else { return }
        connection.comesBack()
        round.comesBack(connection, reason)
    }

    private func useRoom() {
        guard room > 0 else { return }
        for round in rounds { round.wakeIdle(atMost: room) }
    }

    /// Ends the link when nothing is left to move.
    func finishIfDone() {
        guard !isOver, sender.phase == .open || !keepsServing || sender.left == 0 else { return }
        if sender.unanswered.isEmpty, sender.left == 0 || rounds.allSatisfy(\.isDone) { finish(.late) }
    }

    /// What is not answered comes back, and servers that leave drain the rest.
    ///
    /// The kernel puts a packet into a socket and shuts it down under one lock (unix_dgram_sendmsg and unix_shutdown of
    /// net/unix/af_unix.c): an acknowledgement is in the socket by now, or its sender gets EPIPE.
    func finish(_ reason: HandoverRefusal) {
        guard !isOver else { return }
        try? Socket.shutDown(end, .reading)
        _ = readWaitingAnswers()
        for number in sender.end() { comesBack(number, reason) }
        loop.onHandoverStep?(.ended)
        if let watch { loop.remove(watch) }
        watch = nil
        deadline?.cancel()
        retry?.cancel()
        isClosed = true
        closeDescriptor(end)
        let over = rounds
        rounds = []
        for round in over { round.isOver(reason) }
    }
}
