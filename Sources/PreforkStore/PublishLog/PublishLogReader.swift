// A subscriber's place in the publish log.

import Synchronization

/// Reads one channel's messages, in the order in which they were published, without a lock.
package struct PublishLogReader: Sendable {
    package enum News: Sendable {
        case message(ValueKind, [UInt8])
        /// So many messages of the channel were overwritten before they were read.
        case lagged(Int)
    }

    /// Where a reader stands: after the message of this number, at a position in the log.
    package struct Place: Hashable, Sendable {
        package var number: UInt64
        package var position: UInt64

        package init(number: UInt64, position: UInt64) {
            self.number = number
            self.position = position
        }
    }

    private let table: StoreTable
    private let channel: [UInt8]
    private let hash: KeyHash
    private var position: UInt64
    private var lastNumber: UInt64
    private var held: (kind: ValueKind, bytes: [UInt8])?
    /// Where to note its progress for a successor. If nil, it is not noted.
    private let cursor: Int?
    /// If nil, the reader waits for no other process.
    private var turn: CursorTurn?

    /// Begins with what is published after this call, or, under a name that was used before, after the last message
    /// that its last user was given.
    ///
    /// - Parameters:
    ///   - name: the cursor's name. If nil, there is no cursor.
    ///   - ifKnown: whether to make no cursor if the name is unknown.
    ///   - place: of a reader of this channel, which this one continues. What is beyond the log's end is not believed.
    /// - Throws: `.badArgument` when there are 256 cursors already.
    package init(
        _ table: StoreTable, channel: [UInt8], resumingAs name: [UInt8]?, ifKnown: Bool = false, after place: Place? = nil
    ) throws(StoreError) {
        guard !channel.isEmpty, channel.count <= EntryShape.maximumKeyBytes else {
            throw StoreError(.badKey(bytes: channel.count, limit: EntryShape.maximumKeyBytes))
        }
        self.table = table
        self.channel = channel
        hash = channel.withUnsafeBytes { table.hash($0) }
        try table.lockLog(table.patience)
        defer { table.unlockLog() }
        let log = table.logWords
        position = log[PublishLogLayout.commit]
        lastNumber = log[table.channelCounter(hash)]
        if let place {
            lastNumber = min(lastNumber, place.number)
            // Messages begin at multiples of 8.
            position = min(position, place.position & ~7)
        }
        guard let name else {
            cursor = nil
            return
        }
        let bits = Self.bits(ofCursor: name, channel, table)
        guard let entry = Self.entry(of: bits, log) else {
            if ifKnown {
                cursor = nil
                return
            }
            throw Self.noCursorLeft
        }
        if log[entry] == bits {
            lastNumber = min(lastNumber, log[entry + LogCursor.number])
            position = min(position, log[entry + LogCursor.position])
        } else if ifKnown {
            cursor = nil
            return
        } else {
            log[entry + LogCursor.number] = lastNumber
            log[entry + LogCursor.position] = position
            log.release(entry, bits)
        }
        cursor = entry
        turn = CursorTurn(cursor: entry)
        _ = turn?.take(log)
    }

    /// Whether the predecessor of this process continues to read. There is no message until it stops or ends.
    package private(set) var waitsForPredecessor = false

    /// Where the next reader must begin to get what this one has not given.
    package var place: Place {
        // A held message is searched again: a position that is behind the number costs a longer way.
        held == nil ? Place(number: lastNumber, position: position) : Place(number: lastNumber &- 1, position: 0)
    }

    /// Stops reading: a successor continues behind the last message.
    package mutating func endTurn() { turn?.end(table.logWords) }

    /// Continues where the predecessor has stopped, as soon as it has.
    private mutating func takeTurn() -> Bool {
        guard let cursor, turn?.isOwn == false else { return true }
        let log = table.logWords
        waitsForPredecessor = turn?.take(log) == false
        if waitsForPredecessor { return false }
        let (number, position) = (log[cursor + LogCursor.number], log[cursor + LogCursor.position])
        // A message is read before it is counted. What is beyond that comes from no reader.
        let counted = log.acquire(table.channelCounter(hash))
        lastNumber = number <= counted &+ 1 ? number : counted
        self.position = min(position, log.acquire(PublishLogLayout.commit))
        return true
    }

    private static func bits(ofCursor name: [UInt8], _ channel: [UInt8], _ table: StoreTable) -> UInt64 {
        (name + [0] + channel).withUnsafeBytes { table.hash($0) }.bits | 1
    }

    private static var noCursorLeft: StoreError {
        StoreError(.badArgument("more than \(PublishLogLayout.cursorCount) cursors"))
    }

    /// Where the cursor is, or may be made. If nil, there is no room for it. Under the log's lock.
    private static func entry(of bits: UInt64, _ log: SharedWords) -> Int? {
        for index in 0..<PublishLogLayout.cursorCount {
            let entry = PublishLogLayout.cursors + index * LogCursor.byteCount
            if log[entry] == bits || log[entry] == 0 { return entry }
        }
        return nil
    }

    /// Notes its progress under a name, for a reader that resumes under that name.
    ///
    /// - Throws: as `init`.
    package func leave(as name: [UInt8]) throws(StoreError) {
        try table.lockLog(table.patience)
        defer { table.unlockLog() }
        let log = table.logWords
        let bits = Self.bits(ofCursor: name, channel, table)
        guard let entry = Self.entry(of: bits, log) else { throw Self.noCursorLeft }
        let place = place
        log[entry + LogCursor.number] = place.number
        log[entry + LogCursor.position] = place.position
        if log[entry] != bits { log.release(entry, bits) }
    }

    /// What a process that waits for this channel announces to the store.
    package var sleepWish: SleepWish { SleepWish(bit: hash.sleeperBit, stripe: nil) }

    /// The next message or loss, or nil if there is no message now.
    package mutating func next() -> News? {
        if let held {
            self.held = nil
            noteProgress()
            return .message(held.kind, held.bytes)
        }
        guard takeTurn() else { return nil }
        let log = table.logWords
        // A log has no more messages than this. Positions that change all the time are damage.
        for _ in 0..<table.ringBytes / 8 + 8 {
            let before = log.acquire(PublishLogLayout.commit)
            if position == before { return lossAtEnd() }
            let tail = log.acquire(PublishLogLayout.tail)
            let commit = log.acquire(PublishLogLayout.commit)
            // Whatever happened between these reads, this holds. Otherwise they are damaged, and the reader could walk
            // in a circle forever. The next publisher repairs them.
            guard Int64(bitPattern: before &- tail) <= Int64(table.ringBytes), tail <= commit else { return nil }
            if position < tail || position > commit { position = tail }
            guard let found = message(before: commit) else {
                // Overwritten while it was read, or damaged. A damaged message is given up by the next publisher.
                if log.acquire(PublishLogLayout.tail) <= position { return nil }
                continue
            }
            let start = position
            position &+= found.length
            guard let number = found.number, number > lastNumber else { continue }
            let lost = Int(clamping: number &- lastNumber &- 1)
            lastNumber = number
            if lost == 0 {
                noteProgress()
                return .message(found.kind, found.bytes)
            }
            // The loss has been reported, but the message behind it has not been given yet. A successor may get it.
            noteProgress(upTo: number &- 1, at: start)
            held = (found.kind, found.bytes)
            return .lagged(lost)
        }
        return nil
    }

    private struct Found {
        var length: UInt64
        /// If nil, it does not belong to this channel.
        var number: UInt64?
        var kind = ValueKind.bytes
        var bytes: [UInt8] = []
    }

    /// The message at `position`, or nil if it is not there any more.
    private func message(before commit: UInt64) -> Found? {
        let log = table.logWords
        let offset = table.ringOffset(position)
        let word = log[offset]
        let length = word & 0xFFFF_FFFF
        let untilEnd = UInt64(table.ringBytes) - (position & UInt64(table.ringBytes - 1))
        guard length >= 8, length % 8 == 0, length <= commit &- position, length <= untilEnd else { return nil }
        var found = Found(length: length)
        if length >= UInt64(PublishLogLayout.messageHeader), log[offset + LogMessage.channel] == hash.bits | 1 {
            let nameBytes = Int(word >> 32 & 0xFFFF)
            let valueBytes = Int(clamping: log[offset + LogMessage.valueBytes])
            guard PublishLogLayout.messageHeader + nameBytes + min(valueBytes, 1 << 32) <= Int(length),
                let kind = ValueKind(rawValue: UInt8(truncatingIfNeeded: word >> 48))
            else { return nil }
            let body = log.base + offset + PublishLogLayout.messageHeader
            if UnsafeRawBufferPointer(start: body, count: nameBytes).elementsEqual(channel) {
                found.number = log[offset + LogMessage.number]
                found.kind = kind
                found.bytes = Array(UnsafeRawBufferPointer(start: body + nameBytes, count: valueBytes))
            }
        }
        atomicMemoryFence(ordering: .acquiring)
        return log[PublishLogLayout.tail] <= position ? found : nil
    }

    /// Messages that were lost without a later message.
    private mutating func lossAtEnd() -> News? {
        let log = table.logWords
        let number = log.acquire(table.channelCounter(hash))
        guard number > lastNumber, log.acquire(PublishLogLayout.commit) == position else { return nil }
        let lost = Int(clamping: number &- lastNumber)
        lastNumber = number
        noteProgress()
        return .lagged(lost)
    }

    /// Before the message is handled: one that kills its subscriber is not given to the successor, too.
    private func noteProgress() {
        noteProgress(upTo: lastNumber, at: position)
    }

    private func noteProgress(upTo number: UInt64, at position: UInt64) {
        guard let cursor else { return }
        // The number decides. A position behind it costs a longer way.
        table.logWords[cursor + LogCursor.number] = number
        table.logWords[cursor + LogCursor.position] = position
    }
}
