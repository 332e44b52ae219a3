// The turn of a slot's processes at reading from a cursor.

import PreforkSystem
import Synchronization

/// A worker's turn at a cursor: from its predecessor's last message to its own.
///
/// Both live at once for a moment. Without turns each would be given what is published then. The word names the process
/// that reads (`LockOwner.turn`), or is 0 if no process does. Only the next process of the same slot waits for it:
/// subscribers of other slots that use one name each get all messages. A worker that writes a living process into the
/// word costs the cursor's user its messages until that process has ended, and nothing else.
struct CursorTurn: Sendable {
    /// The word's offset in the log.
    private let offset: Int
    private let own: UInt64
    private(set) var isOwn = false

    /// - Returns: nil in a process that is not in a slot.
    init?(cursor: Int) {
        guard let slot = ProcessSlot.current else { return nil }
        offset = cursor + LogCursor.turn
        own = LockOwner.turn(of: slot)
    }

    /// - Returns: false while a predecessor has it.
    mutating func take(_ log: SharedWords) -> Bool {
        let word = log.acquire(offset)
        if LockOwner.isOtherOfSlot(word, own: own) { return false }
        isOwn =
            log.word(offset).pointee.compareExchange(
                expected: word, desired: own, ordering: .acquiringAndReleasing
            ).exchanged
        return isOwn
    }

    /// What was noted before is seen by the next one.
    mutating func end(_ log: SharedWords) {
        if !isOwn { return }
        isOwn = false
        _ = log.word(offset).pointee.compareExchange(expected: own, desired: 0, ordering: .acquiringAndReleasing)
    }
}
