// The processes that receive from a queue, and what happens to the messages of a dead one.

package import PreforkSystem
import Synchronization

/// A process that receives, and where it is recorded.
package struct QueueOwner: Identifiable, Sendable {
    package let slot: Int
    package let process: ProcessIdentity
    /// Whether it had messages in flight when it was checked.
    package let isBusy: Bool

    package struct ID: Hashable, Sendable {
        let slot: Int
        let process: ProcessIdentity
    }

    package var id: ID { ID(slot: slot, process: process) }
}

extension QueueTable {
    package static let maximumOwners = QueueOwnerWord.slots
    package static let cellByteCount = QueueCell.payloadBytes

    /// This process's place among the owners, in one word, so that threads see it whole.
    struct Seat {
        let word: UInt64
        var slot: Int { Int(truncatingIfNeeded: word & 255) }
        var pid: UInt64 { word >> 8 & 0xFFFF_FFFF }
        private var epoch: UInt64 { word >> 40 }

        init?(word: UInt64) {
            guard word != 0, word >> 40 == Self.epoch else { return nil }
            self.word = word
        }

        init(slot: Int, pid: Int32) {
            word = Self.epoch << 40 | UInt64(UInt32(bitPattern: pid)) << 8 | UInt64(slot)
        }

        /// A forked child is a different owner from its parent, whose memory it has.
        private static var epoch: UInt64 { ForkCount.current & 0xFF_FFFF }
    }

    /// The seat of this process, which it takes at its first delivery.
    @inline(__always)
    func sit(_ patience: inout LockPatience) throws(Failure) -> Seat {
        if let seat = Seat(word: seat.load(ordering: .relaxed)) { return seat }
        return try takeSeat(&patience)
    }

    private func takeSeat(_ patience: inout LockPatience) throws(Failure) -> Seat {
        let process = ProcessIdentity.current
        // Without redelivery no process watches the others: senders may sleep for lack of room because of messages that
        // a dead receiver, often this one's predecessor, had taken.
        if attempts == 0, self[.inFlight] > 0 { _ = try reclaim(onlyBusy: true, &patience) }
        if let seat = try takeSeat(process, &patience) { return seat }
        _ = try reclaim(onlyBusy: false, &patience)
        if let seat = try takeSeat(process, &patience) { return seat }
        throw .tooManyOwners
    }

    private func takeSeat(
        _ process: ProcessIdentity, _ patience: inout LockPatience
    ) throws(Failure) -> Seat? {
        try acquire(&patience)
        defer { release() }
        let slots = 0..<QueueOwnerWord.slots
        // No process has such a number: it would keep its place, and its messages, for as long as the queue lives.
        for slot in slots where self[slot, .pid] > UInt64(Int32.max) {
            self[.damages] &+= 1
            _ = try takeBack(from: slot)
        }
        // Another thread of this process may have been faster.
        let own = slots.first { identity(of: $0) == process }
        guard let slot = own ?? slots.first(where: { self[$0, .pid] == 0 }) else { return nil }
        if own == nil {
            // Sleeping receivers must learn of the newcomer, to notice its death.
            wakeReceivers()
            self[.ownersVersion] &+= 1
            self[slot, .inFlight] = 0
            self[slot, .startTime] = process.startTime
            self[slot, .pid] = UInt64(UInt32(bitPattern: process.pid))
        }
        let seat = Seat(slot: slot, pid: process.pid)
        self.seat.store(seat.word, ordering: .relaxed)
        return seat
    }

    /// nil for an empty slot, and for one that was written over.
    private func identity(of slot: Int) -> ProcessIdentity? {
        guard let pid = Int32(exactly: self[slot, .pid]), pid != 0 else { return nil }
        return ProcessIdentity(pid: pid, startTime: self[slot, .startTime])
    }

    /// Changes when `otherOwners` does. Takes no lock: a sleeper checks after it has raised its flag, and later changes
    /// wake it.
    package var ownersVersion: UInt64 { self[.ownersVersion] }

    /// The processes that receive, without this one.
    package func otherOwners() -> [QueueOwner] {
        let own = Seat(word: seat.load(ordering: .relaxed))?.slot
        return (0..<QueueOwnerWord.slots).compactMap { slot in
            guard slot != own, let process = identity(of: slot) else { return nil }
            return QueueOwner(slot: slot, process: process, isBusy: self[slot, .inFlight] != 0)
        }
    }

    /// Takes back what dead processes have not settled. A process that is stopped is not dead.
    ///
    /// - Parameter onlyBusy: whether to check only owners that have messages in flight. A check costs a read of /proc
    ///   for each.
    /// - Returns: how many messages.
    @discardableResult
    package func reclaim(onlyBusy: Bool = false) throws(Failure) -> Int {
        var patience = Self.patience
        return try reclaim(onlyBusy: onlyBusy, &patience)
    }

    private func reclaim(onlyBusy: Bool, _ patience: inout LockPatience) throws(Failure) -> Int {
        var count = 0
        for owner in otherOwners() where owner.isBusy || !onlyBusy {
            if !owner.process.isAlive { count += try reclaim(owner, &patience) }
        }
        return count
    }

    /// Takes back the messages that `owner`, which is dead, has not settled. Has no effect if another process has done
    /// it.
    package func reclaim(_ owner: QueueOwner) throws(Failure) -> Int {
        var patience = Self.patience
        return try reclaim(owner, &patience)
    }

    private func reclaim(_ owner: QueueOwner, _ patience: inout LockPatience) throws(Failure) -> Int {
        try acquire(&patience)
        defer { release() }
        guard identity(of: owner.slot) == owner.process else { return 0 }
        return try takeBack(from: owner.slot)
    }

    /// Another program takes this process's place, and knows nothing of what was delivered to this one. Has an effect
    /// only where this process has received.
    package func leaveSeat() {
        guard let seat = Seat(word: seat.exchange(0, ordering: .relaxed)) else { return }
        var patience = Self.patience
        // A queue that is busy or damaged keeps the messages until this process ends.
        guard (try? acquire(&patience)) != nil else { return }
        defer { release() }
        if identity(of: seat.slot) == .current { _ = try? takeBack(from: seat.slot) }
    }

    /// The same in that program, where the one before has ended without it.
    package func leaveSeatOfImageBefore() {
        _ = lock.shared.disown()
        guard let slot = (0..<QueueOwnerWord.slots).first(where: { identity(of: $0) == .current }) else { return }
        seat.store(Seat(slot: slot, pid: ProcessIdentity.current.pid).word, ordering: .relaxed)
        leaveSeat()
    }

    /// Under the lock: what `slot` had is ready, dead or free room in a moment.
    private func takeBack(from slot: Int) throws(Failure) -> Int {
        wakeReceivers()
        wakeSenders()
        let count = Int(truncatingIfNeeded: self[slot, .inFlight])
        if count > 0 {
            for cell in 0..<cellCount {
                let state = self[state: cell]
                guard state.tag == .taken, state.owner == slot else { continue }
                let new = afterReturn(state)
                self[state: cell] = new
                self[new.tag == .dead ? .died : .reclaimed] &+= 1
            }
        }
        // The slot last: if this process dies in here, its successor finds that the owner still has to be reclaimed.
        self[slot, .pid] = 0
        self[.ownersVersion] &+= 1
        if count > 0 { try rebuild() }
        return count
    }
}
