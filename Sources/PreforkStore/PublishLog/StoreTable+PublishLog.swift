// The log that published messages are written to: one writer at a time, readers without a lock.

import PreforkSystem
import Synchronization

/// The publishing side. A message is whole when `commit` has moved past it. A publisher that is killed before that has
/// published nothing, and the next one overwrites what it left.
///
/// A publisher never waits for a subscriber. Messages that are too old are overwritten, and a subscriber that had not
/// read them learns how many it lost (as with Tokio's broadcast channel; Aeron closes such a subscriber, aeron #611).
extension StoreTable {
    var logWords: SharedWords { SharedWords(base: memory.base + layout.logOffset) }
    var ringBytes: Int { PublishLogLayout.ringBytes(layout.capacity.publishLog) }
    /// No message may push out more than a part of the ring.
    package var messageLimit: Int {
        max(0, ringBytes / 4 - PublishLogLayout.messageHeader - EntryShape.maximumKeyBytes)
    }

    package func publish(
        _ channel: UnsafeRawBufferPointer, _ kind: ValueKind, _ value: UnsafeRawBufferPointer
    ) throws(StoreError) {
        guard !channel.isEmpty, channel.count <= EntryShape.maximumKeyBytes else {
            throw StoreError(.badKey(bytes: channel.count, limit: EntryShape.maximumKeyBytes))
        }
        guard value.count <= messageLimit else {
            throw StoreError(.messageTooLarge(bytes: value.count, limit: messageLimit))
        }
        let hash = self.hash(channel)
        try lockLog(patience)
        append(channel, hash, kind, value)
        unlockLog()
        wakeWatchers(hash)
    }

    var logLock: QuickLock { QuickLock(logWords, own: ownWord) }

    func lockLog(_ patience: consuming LockPatience) throws(StoreError) {
        guard ringBytes > 0 else { throw StoreError(.badArgument("this store was made without a publish log")) }
        if logLock.tryLock() { return }
        guard try acquire(logLock.shared, &patience) == .mustRepair else { return }
        recoverLog()
        memory.count(Header.recoveries)
        // The dead publisher's last message may be there, without its subscribers having been woken.
        wakeAllSleepers()
    }

    func unlockLog() {
        if !logLock.unlock() { memory.count(Header.damages) }
    }

    private func append(
        _ channel: UnsafeRawBufferPointer, _ hash: KeyHash, _ kind: ValueKind, _ value: UnsafeRawBufferPointer
    ) {
        let log = logWords
        settlePositions()
        let length = roundUp(PublishLogLayout.messageHeader + channel.count + value.count, to: 8)
        var position = log[PublishLogLayout.commit]
        let untilEnd = ringBytes - Int(position & UInt64(ringBytes - 1))
        if length > untilEnd {
            // Messages lie in one piece: the rest of the ring is filled with a message without a channel.
            makeSpace(untilEnd, from: position)
            let filler = ringOffset(position)
            log[filler] = UInt64(untilEnd)
            if untilEnd >= PublishLogLayout.messageHeader { log[filler + LogMessage.channel] = 0 }
            position &+= UInt64(untilEnd)
            log.release(PublishLogLayout.commit, position)
        }
        makeSpace(length, from: position)
        let counter = channelCounter(hash)
        let number = log[counter] &+ 1
        let message = ringOffset(position)
        log[message] = UInt64(length) | UInt64(channel.count) << 32 | UInt64(kind.rawValue) << 48
        log[message + LogMessage.channel] = hash.bits | 1
        log[message + LogMessage.number] = number
        log[message + LogMessage.valueBytes] = UInt64(value.count)
        let body = log.base + message + PublishLogLayout.messageHeader
        copyBytes(from: channel.baseAddress!, to: body, count: channel.count)  // never empty
        if let start = value.baseAddress { copyBytes(from: start, to: body + channel.count, count: value.count) }
        log.release(PublishLogLayout.commit, position &+ UInt64(length))
        // After the commit: a reader that has read up to it and then reads this number knows that it counts what was
        // there.
        log.release(counter, number)
    }

    func ringOffset(_ position: UInt64) -> Int {
        PublishLogLayout.ring + Int(position & UInt64(ringBytes - 1))
    }

    /// Invalid positions: what lies between them is given up, because walking it might never end.
    private func settlePositions() {
        let log = logWords
        let tail = log[PublishLogLayout.tail]
        let commit = log[PublishLogLayout.commit]
        if commit &- tail <= UInt64(ringBytes), (commit | tail) & (7 | 3 << 62) == 0 { return }
        memory.count(Header.damages)
        let settled = commit & (.max >> 2 & ~7)
        log.release(PublishLogLayout.tail, settled)
        log.release(PublishLogLayout.commit, settled)
    }

    /// Gives up the oldest messages until `length` bytes from `position` on are free.
    private func makeSpace(_ length: Int, from position: UInt64) {
        let log = logWords
        var tail = log[PublishLogLayout.tail]
        let commit = log[PublishLogLayout.commit]
        while position &+ UInt64(length) &- tail > UInt64(ringBytes) {
            let oldest = log[ringOffset(tail)] & 0xFFFF_FFFF
            guard oldest >= 8, oldest % 8 == 0, oldest <= commit &- tail else {
                // Damaged: everything is given up rather than read wrongly.
                memory.count(Header.damages)
                tail = commit
                break
            }
            tail &+= oldest
        }
        log[PublishLogLayout.tail] = tail
        // Readers check the tail after they have copied, so it must move before memory is overwritten.
        atomicMemoryFence(ordering: .releasing)
    }

    /// Where a channel's messages are counted. Made at its first message. Channels beyond the table's size share one
    /// counter: the loss that their subscribers learn may be too high, but never too low.
    func channelCounter(_ hash: KeyHash) -> Int {
        let log = logWords
        let start = Int(truncatingIfNeeded: hash.bits >> 20) % PublishLogLayout.channelCount
        for step in 0..<PublishLogLayout.channelCount - 1 {
            let index = (start + step) % (PublishLogLayout.channelCount - 1)
            let entry = PublishLogLayout.channels + index * LogChannel.byteCount
            let owner = log.acquire(entry)
            if owner == hash.bits | 1 { return entry + LogChannel.count }
            if owner == 0 {
                log.release(entry, hash.bits | 1)
                return entry + LogChannel.count
            }
        }
        return PublishLogLayout.channels + (PublishLogLayout.channelCount - 1) * LogChannel.byteCount + LogChannel.count
    }

    /// A publisher was killed after its message was whole and before it was counted, or anywhere else: the counters are
    /// what the messages say.
    private func recoverLog() {
        let log = logWords
        settlePositions()
        var position = log[PublishLogLayout.tail]
        let commit = log[PublishLogLayout.commit]
        while position < commit {
            let message = ringOffset(position)
            let length = log[message] & 0xFFFF_FFFF
            guard length >= 8, length % 8 == 0, length <= commit &- position else {
                memory.count(Header.damages)
                log[PublishLogLayout.tail] = commit
                return
            }
            if length >= UInt64(PublishLogLayout.messageHeader), log[message + LogMessage.channel] != 0 {
                let counter = channelCounter(KeyHash(bits: log[message + LogMessage.channel]))
                log.release(counter, max(log[counter], log[message + LogMessage.number]))
            }
            position &+= length
        }
    }
}
