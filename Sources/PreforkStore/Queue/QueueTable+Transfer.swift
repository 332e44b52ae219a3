// A message into the queue and out of it again.

import PreforkSystem
import Synchronization

/// A message that is out for delivery. It is settled once. A second time has no effect.
package struct QueueTicket: Equatable, Sendable {
    let cell: UInt32
    let state: QueueState
}

/// A message that has come out.
package struct QueueArrival: Sendable {
    /// If nil, it is gone from the queue already.
    package let ticket: QueueTicket?
    package let kind: ValueKind?
    package let bytes: [UInt8]
    /// 1: never delivered before.
    package let attempt: Int
}

package enum QueueSending: Equatable, Sendable {
    case sent, full, closed
}

package enum QueueReceiving: Sendable {
    case message(QueueArrival)
    case empty
    /// The queue is closed, has no message, and no other process holds one that could come back.
    case closed
}

extension QueueTable {
    /// How many cells a message takes.
    @inline(__always)
    package static func cells(for byteCount: Int) -> Int {
        max(1, (byteCount &+ QueueCell.payloadBytes &- 1) / QueueCell.payloadBytes)
    }

    /// Sends a message, if there is room.
    ///
    /// - Parameters:
    ///   - bytes: at most `messageLimit`.
    ///   - sleeping: whether the caller will sleep on `sendersBell` if there is no room. It has the bell in its epoll
    ///     already.
    package func put(
        _ kind: ValueKind, _ bytes: UnsafeRawBufferPointer, sleeping: Bool
    ) throws(Failure) -> QueueSending {
        let needed = Self.cells(for: bytes.count)
        var patience = Self.patience
        try acquire(&patience)
        defer { release() }
        if isClosed { return .closed }
        if self[.freeCount] < needed { try examineFreeCells() }
        guard self[.freeCount] >= needed else {
            if sleeping { self[.sendersSleep] = 1 }
            return .full
        }
        let last = try last(of: .readyHead, tail: .readyTail, tag: .ready)
        let head = self[link: .freeHead]
        let rest = try fill(head, cells: needed, with: bytes)
        self[link: .freeHead] = rest
        subtract(UInt64(needed), from: .freeCount)
        self[head, .length] = UInt32(truncatingIfNeeded: bytes.count)
        self[head, .kind] = UInt32(kind.rawValue)
        self[head, .sent] = Self.tick | 1
        // A number that a killed sender leaves unused does no harm, but one used twice would.
        let sequence = self[.nextSequence]
        self[.nextSequence] = sequence &+ 1
        wakeReceivers()
        self[state: head] = QueueState(.ready, sequence: sequence, attempts: 0)
        append(head, after: last, to: .readyHead, tail: .readyTail)
        self[.readyCount] &+= 1
        self[.sent] &+= 1
        return .sent
    }

    /// Copies `bytes` into free cells. They are linked already, and stay so.
    ///
    /// - Returns: the first free cell behind them.
    private func fill(
        _ head: UInt32, cells count: Int, with bytes: UnsafeRawBufferPointer
    ) throws(Failure) -> UInt32 {
        var cell = head
        var offset = 0
        for _ in 0..<count {
            guard cell < cellCount, self[state: cell] == .free else { throw damage("a free cell") }
            let part = min(bytes.count - offset, QueueCell.payloadBytes)
            // Where a part is left there are bytes, and they have an address.
            if part > 0 { self.bytes(of: cell).copyMemory(from: bytes.baseAddress! + offset, byteCount: part) }
            offset += part
            cell = self[cell, .next]
        }
        return cell
    }

    /// Takes the next message out for delivery.
    ///
    /// - Parameter sleeping: whether the caller will sleep on `receiversBell` if there is no message. It has the bell
    ///   in its epoll already.
    package func take(sleeping: Bool) throws(Failure) -> QueueReceiving {
        // If another process has given the slot away, it took this process for dead. The second try gets a new slot.
        var patience = Self.patience
        for _ in 0..<3 {
            let seat = try sit(&patience)
            var taken: Result<Taken, Failure>?
            // Allocated before the lock is taken.
            let bytes = [UInt8](unsafeUninitializedCapacity: QueueCell.payloadBytes) { buffer, count in
                taken = Result { () throws(Failure) in
                    try take(
                        as: seat, sleeping: sleeping, into: UnsafeMutableRawBufferPointer(buffer), count: &count,
                        &patience)
                }
            }
            switch try taken!.get() {  // the closure has run
            case .unseated: self.seat.store(0, ordering: .relaxed)
            case .empty: return .empty
            case .closed: return .closed
            case .whole(let kind, let ticket, let sent):
                Self.noteWait(since: sent)
                return .message(arrival(ticket, kind, bytes, isHeld: attempts > 0))
            case .large(let kind, let ticket, let length, let sent):
                Self.noteWait(since: sent)
                return .message(try read(ticket, kind, length: length, &patience))
            }
        }
        throw .busy
    }

    private enum Taken {
        case unseated, empty, closed
        /// It was so small that it has been copied.
        case whole(kind: UInt32, QueueTicket, sent: UInt32)
        case large(kind: UInt32, QueueTicket, length: Int, sent: UInt32)
    }

    /// Milliseconds, wrapped.
    private static var tick: UInt32 {
        UInt32(truncatingIfNeeded: MonotonicInstant.coarseNow.nanoseconds / 1_000_000)
    }

    /// After the lock has been given back: the first time in a process makes the histogram, which takes its time.
    ///
    /// - Parameter sent: a tick. One that lies ahead is damage, or the lowest bit, which says that there is a time.
    private static func noteWait(since sent: UInt32) {
        guard sent != 0 else { return }
        BuiltInMetrics.queueTime?.observe(Double(max(0, Int32(bitPattern: tick &- sent))) / 1_000)
    }

    private func take(
        as seat: Seat, sleeping: Bool, into buffer: UnsafeMutableRawBufferPointer, count: inout Int,
        _ patience: inout LockPatience
    ) throws(Failure) -> Taken {
        try acquire(&patience)
        defer { release() }
        guard self[seat.slot, .pid] == seat.pid else { return .unseated }
        let cell = self[link: .readyHead]
        guard cell != QueueCell.none else {
            // What this process holds itself does not keep it here: it would wait for its own settling.
            if self[.readyCount] != 0 { throw damage("the first message") }
            if isClosed, self[.inFlight] <= self[seat.slot, .inFlight] { return .closed }
            if sleeping { self[.receiversSleep] = 1 }
            return .empty
        }
        guard cell < cellCount else { throw damage("the first message") }
        let old = self[state: cell]
        let length = Int(self[cell, .length])
        guard old.tag == .ready, length <= messageLimit else { throw damage("a ready message") }
        let kind = self[cell, .kind]
        let sent = self[cell, .sent]
        let new = QueueState(
            .taken, sequence: old.sequence, attempts: min(old.attempts + 1, QueueState.maximumAttempts),
            owner: seat.slot)
        let isWhole = length <= buffer.count
        if isWhole {
            buffer.copyMemory(from: UnsafeRawBufferPointer(start: bytes(of: cell), count: length))
            count = length
        }
        if isWhole, attempts == 0 {
            wakeSenders()
            self[state: cell] = .free
            try unlinkFirst(cell, of: .readyHead, tail: .readyTail)
            try freeCells(of: cell, length: length)
        } else {
            self[state: cell] = new
            try unlinkFirst(cell, of: .readyHead, tail: .readyTail)
            self[.inFlight] &+= 1
            self[seat.slot, .inFlight] &+= 1
        }
        subtract(1, from: .readyCount)
        self[.delivered] &+= 1
        if old.attempts > 0 { self[.redelivered] &+= 1 }
        let ticket = QueueTicket(cell: cell, state: new)
        return isWhole
            ? .whole(kind: kind, ticket, sent: sent) : .large(kind: kind, ticket, length: length, sent: sent)
    }

    /// Copies a message of several cells, without the lock: no other process touches what a living process has taken.
    func read(
        _ ticket: QueueTicket, _ kind: UInt32, length: Int, _ patience: inout LockPatience
    ) throws(Failure) -> QueueArrival {
        var isDamaged = false
        let bytes = [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
            let buffer = UnsafeMutableRawBufferPointer(buffer)
            var cell = ticket.cell
            while count < length {
                guard cell < cellCount else {
                    isDamaged = true
                    return
                }
                let part = min(length - count, QueueCell.payloadBytes)
                UnsafeMutableRawBufferPointer(rebasing: buffer[count..<count + part])
                    .copyMemory(from: UnsafeRawBufferPointer(start: self.bytes(of: cell), count: part))
                count += part
                cell = self[cell, .next]
            }
        }
        if isDamaged { throw .corrupt("a message's cells") }
        if attempts == 0 { try settle(ticket, .forget, &patience) }
        return arrival(ticket, kind, bytes, isHeld: attempts > 0)
    }

    private func arrival(_ ticket: QueueTicket, _ kind: UInt32, _ bytes: [UInt8], isHeld: Bool) -> QueueArrival {
        QueueArrival(
            ticket: isHeld ? ticket : nil, kind: UInt8(exactly: kind).flatMap { ValueKind(rawValue: $0) }, bytes: bytes,
            attempt: ticket.state.attempts)
    }

    /// The queue accepts no further messages, but messages in it can still be taken.
    package func close() throws(Failure) {
        var patience = Self.patience
        try acquire(&patience)
        defer { release() }
        // In this order, see `wakeReceivers`, and whatever the flags say.
        receiversBell.ring()
        sendersBell.ring()
        self[.isClosed] = QueueHeader.closedValue
    }
}
