// The generations of the other end in the order in which a receiver learns of them.

/// Decides what a receiver is told, and when: everything a generation had sent, then its death, once, then what the
/// next one sends.
struct PeerHistory: Hashable, Sendable {
    /// The generation whose messages are received, or 0 before the first one.
    private(set) var current: UInt64
    /// Its death has been told.
    private(set) var isOver = false

    /// - Parameter current: the generation at the other end when this one attached. Earlier processes are no news.
    init(current: UInt64 = 0) {
        self.current = current
    }

    enum Step: Hashable, Sendable {
        /// Nothing stands between the receiver and that generation.
        case goOn
        /// To be told first.
        case died(UInt64)
    }

    /// The next message is of `generation`, or the other end has reached it without a message.
    ///
    /// - Parameter closed: the generations that closed their end, whose exit is no death. Read it after `generation`.
    mutating func advance(to generation: UInt64, closed: ClosedGenerations) -> Step {
        if current == 0, generation > 0 { current = generation }
        while generation > current {
            if !isOver, !closed.contains(current) {
                isOver = true
                return .died(current)
            }
            // Nothing is known of older generations. A hostile process may have written the number: do not count up to
            // it.
            current = max(current &+ 1, generation &- min(generation, 64))
            isOver = false
        }
        return .goOn
    }

    /// Nothing is left of what the current generation had sent, and it is known to be dead.
    mutating func currentDied() -> Step {
        if isOver || current == 0 { return .goOn }
        isOver = true
        return .died(current)
    }
}
