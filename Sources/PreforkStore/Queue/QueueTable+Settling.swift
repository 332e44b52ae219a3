// The fate of a message after its delivery.

package import PreforkSystem
import Synchronization

package enum QueueSettlement: Sendable {
    /// It has been dealt with and is gone.
    case acknowledge
    /// It is gone, without having been dealt with.
    case forget
    /// It goes to the next receiver. After the last attempt, it goes to the dead letters.
    case requeue
    /// It goes to the dead letters.
    case bury
}

extension QueueTable {
    /// Settles a delivery.
    ///
    /// - Returns: false when it was settled before, or its owner was taken for dead: nothing has happened.
    @discardableResult
    package func settle(_ ticket: QueueTicket, _ settlement: QueueSettlement) throws(Failure) -> Bool {
        var patience = Self.patience
        return try settle(ticket, settlement, &patience)
    }

    @discardableResult
    func settle(
        _ ticket: QueueTicket, _ settlement: QueueSettlement, _ patience: inout LockPatience
    ) throws(Failure) -> Bool {
        guard ticket.cell < cellCount else { return false }
        try acquire(&patience)
        defer { release() }
        // No two deliveries have the same word: the sequence is the message's, the attempts count deliveries.
        guard self[state: ticket.cell] == ticket.state, ticket.state.tag == .taken else { return false }
        let owner = ticket.state.owner
        subtract(1, from: .inFlight)
        self[owner, .inFlight] = self[owner, .inFlight] > 0 ? self[owner, .inFlight] - 1 : 0
        // Receivers of a closed queue wait for the last message that could come back.
        if isClosed { wakeReceivers() }
        switch settlement {
        case .acknowledge:
            try remove(ticket.cell)
            self[.acknowledged] &+= 1
        case .forget:
            try remove(ticket.cell)
        case .requeue where ticket.state.attempts < attempts:
            wakeReceivers()
            self[state: ticket.cell] = ticket.state.with(.ready)
            try insertReady(ticket.cell)
        case .requeue, .bury:
            try bury(ticket.cell)
        }
        return true
    }

    /// Frees a message that is in no list.
    private func remove(_ cell: UInt32) throws(Failure) {
        let length = try checkedLength(of: cell)
        wakeSenders()
        self[state: cell] = .free
        try freeCells(of: cell, length: length)
    }

    func checkedLength(of cell: UInt32) throws(Failure) -> Int {
        let length = Int(self[cell, .length])
        guard length <= messageLimit else { throw damage("a message's length") }
        return length
    }

    /// Moves a message that is in no list to the dead letters.
    private func bury(_ cell: UInt32) throws(Failure) {
        let length = try checkedLength(of: cell)
        let last = try last(of: .deadHead, tail: .deadTail, tag: .dead)
        // Senders, because dead letters over their share are dropped.
        wakeSenders()
        self[state: cell] = self[state: cell].with(.dead)
        append(cell, after: last, to: .deadHead, tail: .deadTail)
        self[.deadCount] &+= 1
        self[.deadCells] &+= UInt64(Self.cells(for: length))
        self[.died] &+= 1
        try dropDeadLetters()
    }

    /// Uncollected dead letters may fill a quarter of the queue, not all of it.
    func dropDeadLetters() throws(Failure) {
        // No more often than there can be dead letters, whatever the counts say.
        for _ in 0..<cellCount {
            guard self[.deadCells] > UInt64(cellCount / 4), self[.deadCount] > 1, let cell = try unlinkDeadLetter()
            else { return }
            try remove(cell)
            self[.dropped] &+= 1
        }
    }

    private func unlinkDeadLetter() throws(Failure) -> UInt32? {
        let cell = self[link: .deadHead]
        if cell == QueueCell.none { return nil }
        guard cell < cellCount, self[state: cell].tag == .dead else { throw damage("a dead letter") }
        let length = try checkedLength(of: cell)
        try unlinkFirst(cell, of: .deadHead, tail: .deadTail)
        subtract(1, from: .deadCount)
        subtract(UInt64(Self.cells(for: length)), from: .deadCells)
        return cell
    }

    /// Takes the oldest dead letter out, or returns nil if there is no dead letter.
    ///
    /// As a delivery of this process until it is copied, so that it is not lost with it: its attempts are used up, and
    /// the death of its new owner makes it a dead letter again.
    ///
    /// - Parameter patience: of the whole call that takes dead letters.
    package func takeDeadLetter(_ patience: inout LockPatience) throws(Failure) -> QueueArrival? {
        let seat = try sit(&patience)
        guard let (ticket, deliveries) = try takeDeadLetter(as: seat, &patience) else { return nil }
        let length = min(Int(self[ticket.cell, .length]), messageLimit)
        let arrival = try read(ticket, self[ticket.cell, .kind], length: length, &patience)
        try settle(ticket, .forget, &patience)
        return QueueArrival(ticket: nil, kind: arrival.kind, bytes: arrival.bytes, attempt: deliveries)
    }

    private func takeDeadLetter(
        as seat: Seat, _ patience: inout LockPatience
    ) throws(Failure) -> (QueueTicket, deliveries: Int)? {
        try acquire(&patience)
        defer { release() }
        guard self[seat.slot, .pid] == seat.pid else {
            self.seat.store(0, ordering: .relaxed)
            throw .busy
        }
        guard let cell = try unlinkDeadLetter() else { return nil }
        let old = self[state: cell]
        let taken = QueueState(
            .taken, sequence: old.sequence, attempts: QueueState.maximumAttempts + 1, owner: seat.slot)
        self[state: cell] = taken
        self[.inFlight] &+= 1
        self[seat.slot, .inFlight] &+= 1
        return (QueueTicket(cell: cell, state: taken), old.attempts)
    }
}
