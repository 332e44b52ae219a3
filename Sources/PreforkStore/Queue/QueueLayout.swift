// What is where in a queue's shared memory. Every word of it is written under the queue's lock only.
//
//     header     4 KiB     lock, list heads, counters, flags
//     owners     256 x 64  process ID, start time, messages in flight
//     cells      n x 32    state word, links, length and kind of the message that begins here
//     payload    n x 256   bytes
//
// The state word of a message's first cell is the truth, and its store is the commit of every operation. Everything
// else - free cells, order, counts - is derived from these words, and recovery recomputes it.

/// A word of the header, by its place.
enum QueueHeader: Int {
    /// Words 8..<16 are the lock's.
    static let lockOffset = 64
    static let byteCount = 4096
    static let closedValue: UInt64 = 0x5052_4546_4343_4C44  // PREFCCLD

    case freeHead = 16
    case freeCount, readyHead, readyTail, readyCount, inFlight, deadHead, deadTail, deadCount, deadCells, nextSequence
    /// Above 0 while lists are being rebuilt, and permanently if they cannot be.
    case isUnsettled
    /// `closedValue` when it is closed. Any other number is damage, and would end the service of all.
    case isClosed
    /// Whether a process sleeps until there is a message, or until there is room.
    case receiversSleep, sendersSleep
    /// Changes with every owner that comes or goes.
    case ownersVersion

    case sent = 40
    case delivered, redelivered, acknowledged, died, dropped, reclaimed, recoveries, damages
}

/// A process that receives.
enum QueueOwnerWord: Int {
    static let slots = 256
    static let wordsPerSlot = 8

    /// 0 for a free slot. Written last when a slot is taken.
    case pid = 0
    case startTime, inFlight
}

enum QueueCell {
    static let metaBytes = 32
    static let payloadBytes = 256
    /// No cell: the end of a list.
    static let none = UInt32.max
}

/// A 32-bit word of a cell, by its place. The first eight bytes are the state word.
enum QueueCellWord: Int {
    /// The message's next cell, or the next free one.
    case next = 2
    /// In a message's first cell: the next message of its list.
    case follower
    case length, kind
    /// Used by recovery.
    case mark
    /// When the message was sent: milliseconds of CLOCK_MONOTONIC_COARSE, wrapped. 0 if its sender did not say.
    case sent
}

/// The state word: a message's state, its number, how often it was delivered and its last receiver.
struct QueueState: Equatable {
    enum Tag: UInt64 {
        case free = 0
        case ready, taken, dead
    }

    /// Five bits hold it.
    static let maximumAttempts = 30
    private static let sequenceMask: UInt64 = (1 << 48) - 1

    let word: UInt64

    init(word: UInt64) {
        self.word = word
    }

    init(_ tag: Tag, sequence: UInt64, attempts: Int, owner: Int = 0) {
        word =
            tag.rawValue | UInt64(truncatingIfNeeded: attempts & 31) << 3 | UInt64(truncatingIfNeeded: owner & 255) << 8
            | sequence << 16
    }

    static let free = QueueState(word: 0)

    /// nil means damage.
    var tag: Tag? { Tag(rawValue: word & 7) }
    var attempts: Int { Int(truncatingIfNeeded: word >> 3 & 31) }
    var owner: Int { Int(truncatingIfNeeded: word >> 8 & 255) }
    var sequence: UInt64 { word >> 16 }

    /// Sent before the other one. 48 bits last for nine years at a million messages each second. The comparison keeps
    /// the order in the years after.
    func isBefore(_ other: QueueState) -> Bool {
        (sequence &- other.sequence) & Self.sequenceMask > Self.sequenceMask / 2
    }

    func with(_ tag: Tag) -> QueueState {
        QueueState(tag, sequence: sequence, attempts: attempts)
    }
}
