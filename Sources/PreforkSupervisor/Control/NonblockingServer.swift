// Accepts, reads, writes and closes for the supervisor's own servers, and never waits for a client.

import PreforkSystem

/// What a server says to its clients.
protocol ControlConversation: AnyObject {
    /// Takes the next request out of `input`, and leaves what follows it.
    func next(in input: inout [UInt8], from client: UInt64) -> ControlStep
    /// Why the client of a new socket is refused, as the client is told. If nil, it is served.
    func refusal(of socket: Int32) -> [UInt8]?
    /// The answer to a client that exceeds the limit.
    var crowded: [UInt8] { get }
}

enum ControlStep {
    /// No whole request yet.
    case needsMore
    case answer([UInt8], closes: Bool)
    /// The answer comes by `NonblockingServer.answer`.
    case later
}

/// Bounds of what clients can have of the supervisor.
package struct ControlLimits: Sendable {
    /// Clients at once. A further one takes the place of a client that has sent no whole request. If there is no such
    /// client, the new one is told so and closed.
    package var clients = 256
    /// How long a client may be silent between two requests, and take its answer.
    package var patience: Duration = .seconds(60)
    /// How long a client may take for a whole request: from the moment it is let in, or from the first byte of a later
    /// request.
    package var requestTime: Duration = .seconds(60)
    /// A client that has not taken a byte of its answer for so long gives way to another one.
    package var stallTime: Duration = .seconds(1)
    /// A client that is newer than this may have its request on the way.
    package var freshTime: Duration = .milliseconds(100)
    /// How long no connection is accepted after the process ran out of descriptors.
    package var acceptPause: Duration = .seconds(1)
    /// After so much time in one turn the rest of the requests waits for the next one.
    package var turnBudget: Duration = .milliseconds(5)
    /// The longest answer in bytes.
    package var answerSize = 16 << 20

    package init() {}
}

/// The clients of one listener, served in turns of bounded work by its own epoll.
final class NonblockingServer {
    private static let listenerWord: UInt64 = 0
    private static let acceptsPerTurn = 256
    private static let bytesPerWrite = 256 << 10
    /// Input that is read but not parsed yet. More than a request may have.
    private static let inputLimit = (64 << 10) + 1
    private static let lingerTime: Duration = .seconds(2)
    /// At most so many clients are examined to make room for one.
    private static let tries = 16

    private let listener: Listener
    private let limits: ControlLimits
    private let epoll: Epoll
    private var events = EpollEventBuffer(capacity: 64)
    private var scratch = [UInt8](repeating: 0, count: 16 << 10)
    private var peers: [UInt64: ControlPeer] = [:]
    private var line: [UInt64] = []
    private var lastNumber: UInt64 = 0
    private var acceptsAgain: MonotonicInstant?

    init(_ listener: Listener, _ limits: ControlLimits) throws(SystemError) {
        self.listener = listener
        self.limits = limits
        epoll = try Epoll()
        try epoll.add(listener.descriptor, .readable, word: Self.listenerWord)
    }

    var descriptor: Int32 { epoll.descriptor.number }
    var clients: Int { peers.count }

    /// Everything that a forked worker must close.
    var descriptors: [Int32] {
        [epoll.descriptor.number, listener.descriptor] + peers.values.map { $0.socket.number }
    }

    var nextDeadline: MonotonicInstant? {
        if !line.isEmpty { return .now }
        var earliest = acceptsAgain
        for peer in peers.values where peer.state != .waiting {
            earliest = min(earliest ?? peer.deadline, peer.deadline)
        }
        return earliest
    }

    func turn(_ conversation: some ControlConversation) {
        let start = MonotonicInstant.now
        // It fails only if the descriptor was closed behind our back. There is no caller to tell and nothing to do.
        try? events.wait(epoll, timeout: 0)
        for index in 0..<events.count {
            let (word, happened) = events[index]
            if word == Self.listenerWord {
                acceptClients(conversation, at: start)
            } else if let peer = peers[word] {
                serve(peer, happened)
            }
        }
        converse(conversation, since: start)
        expire(at: start)
    }

    /// Answers a client that was told `.later`. One that has gone is no error.
    func answer(_ number: UInt64, _ bytes: [UInt8], closes: Bool = false) {
        guard let peer = peers[number], peer.state == .waiting else { return }
        begin(bytes, to: peer, closes: closes)
    }

    private func acceptClients(_ conversation: some ControlConversation, at now: MonotonicInstant) {
        for _ in 0..<Self.acceptsPerTurn {
            do throws(SystemError) {
                guard let (number, _) = try Socket.accept(listener.descriptor) else { return }
                admit(Descriptor(owning: number), conversation, at: now)
            } catch {
                if error.errno.isOfOneConnection { continue }
                // EMFILE and its kind: the connection stays in the queue, and a listener that stays watched would wake
                // the loop again and again.
                epoll.remove(listener.descriptor)
                acceptsAgain = now + limits.acceptPause
                return
            }
        }
    }

    private func admit(
        _ socket: consuming Descriptor, _ conversation: some ControlConversation, at now: MonotonicInstant
    ) {
        let number = socket.number
        var refusal = conversation.refusal(of: number)
        if refusal == nil, peers.count >= limits.clients, !makeRoom(at: now) { refusal = conversation.crowded }
        if let refusal {
            // What does not fit into an empty socket buffer is lost, as is the client.
            _ = refusal.withUnsafeBytes { bytes in try? sendBytes(to: number, bytes) }
            return
        }
        lastNumber += 1
        let peer = ControlPeer(number: lastNumber, socket: socket, at: now, patience: limits.requestTime)
        // ENOMEM or ENOSPC: the user's limit of watches is reached. Without a watch the connection cannot be served.
        guard (try? epoll.add(number, .readable, word: lastNumber)) != nil else { return }
        peers[lastNumber] = peer
        // Its request has usually arrived already. Once read, it protects the client from newer ones.
        receive(peer)
        lineUp(peer)
        rewatch(peer)
    }

    /// Drops the client that loses least, so that another one can come in: silent connections must not keep monitors
    /// out. A client that has sent a whole request is never dropped before its answer is on the way.
    ///
    /// - Returns: false when all have sent one.
    private func makeRoom(at now: MonotonicInstant) -> Bool {
        for _ in 0..<Self.tries {
            guard let peer = cheapest(at: now) else { return false }
            if peer.state == .reading {
                // Input that has arrived meanwhile is read first. The client then stands in line, and does not give
                // way.
                let before = peer.input.count
                receive(peer)
                lineUp(peer)
                if peer.input.count > before { continue }
            }
            drop(peer)
            return true
        }
        return false
    }

    /// One pass and nothing made: in a flood it is asked for each connection.
    private func cheapest(at now: MonotonicInstant) -> ControlPeer? {
        var best: (rank: Int, peer: ControlPeer)?
        for peer in peers.values {
            guard let rank = peer.expendability(at: now, limits) else { continue }
            if let best, (best.rank, best.peer.since) <= (rank, peer.since) { continue }
            best = (rank, peer)
        }
        return best?.peer
    }

    private func serve(_ peer: ControlPeer, _ happened: EpollEvents) {
        switch peer.state {
        case .reading:
            if happened.isReadable { receive(peer) } else if happened.isOver { peer.hasEnded = true }
            lineUp(peer)
        case .waiting:
            if happened.isOver { drop(peer) }
        case .writing:
            if happened.isOver { drop(peer) } else { flush(peer) }
        case .lingering:
            receive(peer)
            peer.input = []
            if peer.hasEnded || happened.isOver { drop(peer) }
        }
        rewatch(peer)
    }

    /// One read: the rest comes with the next turn, after the others had theirs.
    private func receive(_ peer: ControlPeer) {
        guard !peer.hasEnded else { return }
        let room = min(scratch.count, Self.inputLimit - peer.input.count)
        // The input holds a whole request, or one that is refused as too long. It is parsed before more is read.
        guard room > 0 else { return }
        do throws(SystemError) {
            let outcome = try readOnce(peer.socket.number, room)
            switch outcome {
            case .bytes(let count):
                if peer.state == .reading, peer.input.isEmpty, peer.hasAsked {
                    // The first bytes of a later request.
                    peer.deadline = .now + limits.requestTime
                }
                peer.input += scratch[..<count]
            case .end: peer.hasEnded = true
            case .wouldBlock: break
            }
        } catch {
            // A reset. What the client sent before may still be an order. Its answer has no reader.
            peer.hasEnded = true
        }
    }

    private func readOnce(_ number: Int32, _ room: Int) throws(SystemError) -> ReadOutcome {
        var result: Result<ReadOutcome, SystemError> = .success(.wouldBlock)
        scratch.withUnsafeMutableBytes { buffer in
            // In bounds: `room` is at most the buffer's size and above zero.
            let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<room])
            result = Result { () throws(SystemError) in try readBytes(from: number, into: part) }
        }
        return try result.get()
    }

    private func begin(_ bytes: [UInt8], to peer: ControlPeer, closes: Bool) {
        guard bytes.count <= limits.answerSize else { return drop(peer) }
        peer.output = bytes
        peer.sent = 0
        peer.closesAfterAnswer = closes
        peer.state = .writing
        peer.hasAsked = true
        peer.since = .now
        peer.deadline = peer.since + limits.patience
        flush(peer)
        rewatch(peer)
    }

    private func flush(_ peer: ControlPeer) {
        var budget = Self.bytesPerWrite
        while peer.sent < peer.output.count, budget > 0 {
            let count = min(budget, peer.output.count - peer.sent)
            let taken = peer.output.withUnsafeBytes { bytes in
                let part = UnsafeRawBufferPointer(rebasing: bytes[peer.sent..<peer.sent + count])
                return Result { () throws(SystemError) in try sendBytes(to: peer.socket.number, part) }
            }
            guard case .success(let sent) = taken else { return drop(peer) }
            guard let sent else { return }
            peer.sent += sent
            peer.since = .now
            budget -= sent
        }
        if peer.sent == peer.output.count { finishAnswer(peer) }
    }

    private func finishAnswer(_ peer: ControlPeer) {
        peer.output = []
        peer.sent = 0
        if peer.closesAfterAnswer {
            if peer.hasEnded { return drop(peer) }
            peer.state = .lingering
            peer.input = []
            peer.since = .now
            peer.deadline = peer.since + Self.lingerTime
            try? Socket.shutDown(peer.socket.number, .writing)
        } else {
            peer.state = .reading
            peer.since = .now
            peer.deadline = peer.since + (peer.input.isEmpty ? limits.patience : limits.requestTime)
            lineUp(peer)
        }
    }

    private func lineUp(_ peer: ControlPeer) {
        guard !peer.isInLine, peers[peer.number] != nil, peer.hasEnded || !peer.input.isEmpty else { return }
        peer.isInLine = true
        line.append(peer.number)
    }

    private func rewatch(_ peer: ControlPeer) {
        let wanted = peer.wanted
        guard peers[peer.number] != nil, wanted != peer.watched else { return }
        peer.watched = wanted
        if (try? epoll.modify(peer.socket.number, wanted, word: peer.number)) == nil { drop(peer) }
    }

    private func drop(_ peer: ControlPeer) {
        // Taken out by hand: epoll keeps a closed socket as long as a worker forked just now has a copy of it.
        epoll.remove(peer.socket.number)
        peers[peer.number] = nil
        // Its descriptor is free for a client that waits.
        if acceptsAgain != nil { acceptsAgain = .now }
    }

    /// One request of each client in line, in the order in which they came, until the time of this turn is over.
    private func converse(_ conversation: some ControlConversation, since start: MonotonicInstant) {
        let standing = line
        line = []
        for (index, number) in standing.enumerated() {
            if index > 0, .now - start > limits.turnBudget {
                line = Array(standing[index...]) + line
                return
            }
            guard let peer = peers[number] else { continue }
            peer.isInLine = false
            if peer.state == .reading { converse(with: peer, conversation) }
        }
    }

    private func converse(with peer: ControlPeer, _ conversation: some ControlConversation) {
        // Before the question: its answer may come while it is asked.
        peer.state = .waiting
        var input = peer.input
        peer.input = []
        let step = conversation.next(in: &input, from: peer.number)
        peer.input = input
        switch step {
        case .answer(let bytes, let closes): begin(bytes, to: peer, closes: closes)
        case .later:
            // The answer may have come while it was asked, when the rest of the input was not there to be seen.
            if peer.state == .reading { lineUp(peer) }
            rewatch(peer)
        case .needsMore:
            peer.state = .reading
            if peer.hasEnded { drop(peer) }
        }
    }

    private func expire(at now: MonotonicInstant) {
        if let instant = acceptsAgain, instant <= now {
            acceptsAgain = nil
            if (try? epoll.add(listener.descriptor, .readable, word: Self.listenerWord)) == nil {
                acceptsAgain = now + limits.acceptPause
            }
        }
        // A client that stands in line has sent something in time. The delay is on this side.
        for peer in peers.values where peer.state != .waiting && !peer.isInLine && peer.deadline <= now { drop(peer) }
    }
}
