// A server's part in moves: when its connections go, and under which name others find it.

import PreforkSystem

extension Acceptor {
    private var listenerName: [UInt8] { Array("\(listener.address)".utf8) }

    /// The name under which the same server of another process is found. If nil, no connection moves.
    var handoverKey: [UInt8]? {
        resumption.map { HandoverDesk.key(listenerName, Array($0.name.utf8)) }
    }

    func beginTaking() {
        guard resumption != nil else { return }
        connections.onStep = loop.onHandoverStep
        loop.handover?.add(self)
    }

    func endTaking() {
        guard resumption != nil else { return }
        loop.handover?.remove(self)
    }

    /// This process leaves alone: its connections go to its successor.
    ///
    /// - Returns: false if there is no successor, or it must not be waited for.
    func beginGiving() -> Bool {
        guard resumption != nil, loop.stopRequest.reach == .worker, !connections.isDraining, let desk = loop.handover
        else { return false }
        if connections.isLeaving { return true }
        guard let link = desk.link else { return false }
        moveDeadline = .now + desk.limit
        return begin(link)
    }

    /// A link has come: to move some connections now, or to the successor of a process that is gone.
    func mayGive(by link: GivingLink) {
        guard resumption != nil, !connections.isDraining else { return }
        if link.keepsServing {
            if !connections.isLeaving { _ = begin(link) }
        } else if connections.waitsForSuccessor {
            _ = begin(link)
        }
    }

    private func begin(_ link: GivingLink) -> Bool {
        guard let resumption else { return false }
        let round = HandoverRound(link, connections, listener: listenerName, resumption) { [weak self, link] reason in
            if !link.keepsServing { self?.roundIsOver(reason) }
        }
        let rest = moveDeadline.map { $0 - .now } ?? loop.handover?.limit ?? .zero
        guard rest > .zero, link.join(round, within: rest) else { return false }
        connections.waitsForSuccessor = false
        connections.begin(round)
        round.begin()
        round.wakeIdle(atMost: link.room)
        return true
    }

    private func roundIsOver(_ reason: HandoverRefusal) {
        let rest = moveDeadline.map { $0 - .now } ?? .zero
        guard reason == .gone, rest > .zero, loop.stopRequest.reach == .worker, connections.movableCount > 0 else {
            return tellTheRest()
        }
        // The supervisor makes another successor, which the rest can go to.
        connections.waitsForSuccessor = true
        loop.call(after: rest) { [weak self] in
            if let self, connections.waitsForSuccessor { tellTheRest() }
        }
    }
}
