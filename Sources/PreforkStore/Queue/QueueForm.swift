// The facts about a queue that a process needs before it can use its memory.

import PreforkSystem

/// What a queue was made with. All processes that use it must agree, and the next image of a program gets it as text
/// with the descriptors, because every worker can write what the memory itself holds.
package struct QueueForm: Equatable, Sendable {
    /// Another one whenever `QueueLayout` changes.
    private static let version = 1

    package let cellCount: UInt32
    package let attempts: Int
    package let messageLimit: Int

    package init(cellCount: UInt32, attempts: Int, messageLimit: Int) {
        self.cellCount = cellCount
        self.attempts = attempts
        self.messageLimit = messageLimit
    }

    static let ownersOffset = QueueHeader.byteCount
    static let cellsOffset = ownersOffset + QueueOwnerWord.slots * QueueOwnerWord.wordsPerSlot * 8
    var payloadOffset: Int { Self.cellsOffset + Int(cellCount) * QueueCell.metaBytes }
    var byteCount: Int { payloadOffset + Int(cellCount) * QueueCell.payloadBytes }

    package var text: String { "\(Self.version) \(cellCount) \(attempts) \(messageLimit)" }

    /// What another process says of a queue that it sends.
    ///
    /// - Returns: nil for another layout, and for sizes that no queue has.
    package init?(arriving text: String) {
        let words = text.split(separator: " ").map { Int($0) }
        guard words.count == 4, words[0] == Self.version, let cells = words[1].flatMap({ UInt32(exactly: $0) }),
            let attempts = words[2], let limit = words[3], (4...1 << 30).contains(cells),
            (0...QueueState.maximumAttempts).contains(attempts),
            (1...Int(cells) * QueueCell.payloadBytes / 4).contains(limit)
        else { return nil }
        self.init(cellCount: cells, attempts: attempts, messageLimit: limit)
    }

    /// Why a program that makes the queue like this cannot take over one that was left with `text`. If nil, it can.
    package func objection(toText text: String) -> String? {
        if text == self.text { return nil }
        let words = text.split(separator: " ").map { Int($0) }
        guard words.count == 4, words[0] == Self.version, let cells = words[1].flatMap({ UInt32(exactly: $0) }),
            let attempts = words[2], let limit = words[3]
        else { return "it has another layout" }
        let before = QueueForm(cellCount: cells, attempts: attempts, messageLimit: limit)
        return "it was made with \(before.words), and this program makes it with \(self.words)"
    }

    private var words: String {
        let room = Int(cellCount) * QueueCell.payloadBytes
        let redelivery = attempts == 0 ? "no redelivery" : "\(attempts) attempts"
        return "\(room) bytes, \(redelivery) and messages of at most \(messageLimit) bytes"
    }
}
