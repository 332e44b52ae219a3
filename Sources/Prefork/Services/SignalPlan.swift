// The effect of each signal to a program on its trees of services.

import PreforkSystem

/// Decides what a signal means for the trees of a program and for the bodies of its scopes (`withRunning`).
///
/// The first signal asks all of them to end, and cancels the bodies that cannot learn of it. The next one cancels
/// bodies that have not returned. If there is no such body, it cancels every stop. A program whose body threw because
/// it was cancelled ends by the signal when all trees are down, as it would have without them.
struct SignalPlan {
    enum Step: Equatable {
        /// A wish to stop, and bodies that are cancelled at once.
        case ask(cancelled: Set<Int>)
        case cancel(Set<Int>)
        /// Every stop is cancelled.
        case hurry
    }

    private var isAsked = false
    private var lastID = 0
    private var cancelled: [Int: Signal] = [:]
    /// The signal that ends the program when all trees are down. If nil, the program continues.
    private(set) var lastWord: Signal?

    mutating func newScope() -> Int {
        lastID += 1
        return lastID
    }

    /// - Parameters:
    ///   - running: the bodies that have not returned.
    ///   - deaf: the trees among them whose bodies wait for nothing that a stop ends.
    mutating func signal(_ signal: Signal, running: Set<Int>, deaf: Set<Int>) -> Step {
        let known = Set(cancelled.keys)
        let new = (isAsked ? running : deaf).subtracting(known)
        for id in new { cancelled[id] = signal }
        if !isAsked {
            isAsked = true
            return .ask(cancelled: new)
        }
        return new.isEmpty ? .hurry : .cancel(new)
    }

    mutating func ended(_ id: Int, thrown: Bool) {
        guard let signal = cancelled.removeValue(forKey: id), thrown else { return }
        lastWord = lastWord ?? signal
    }
}
