// Jobs and calls that other threads hand to a loop.

import PreforkSystem
import Synchronization

/// Work for a loop from any thread. The sender rings only when the loop sleeps.
struct Inbox: ~Copyable, Sendable {
    enum Letter: Sendable {
        case job(UnownedJob, isMainActor: Bool)
        case call(@Sendable () -> Void)
    }

    /// In the loop's epoll edge-triggered: it need not be cleared.
    let wakeUp: Bell
    private let letters = Mutex<[Letter]>([])
    private let hasLetters = Atomic(false)
    private let isAsleep = Atomic(false)
    private let process = ForkCount.current

    init() throws(SystemError) {
        wakeUp = try Bell()
    }

    /// Runs on any thread.
    func put(_ letter: Letter) {
        // The loop of a parent does not run here, and the bell's number may be another descriptor's.
        guard process == ForkCount.current else { return }
        letters.withLock {
            $0.append(letter)
            hasLetters.store(true, ordering: .sequentiallyConsistent)
        }
        if isAsleep.exchange(false, ordering: .sequentiallyConsistent) { wakeUp.ring() }
    }

    /// Says that the loop is about to wait. Runs on the loop's thread.
    ///
    /// The flag first, then the check: a sender does it in the other order, so that one of the two sees the other (both
    /// sequentially consistent), and no letter waits while the loop sleeps.
    ///
    /// - Returns: false when there are letters and the loop must not sleep.
    func prepareToSleep() -> Bool {
        isAsleep.store(true, ordering: .sequentiallyConsistent)
        if !hasLetters.load(ordering: .sequentiallyConsistent) { return true }
        isAsleep.store(false, ordering: .relaxed)
        return false
    }

    /// Says that the loop is awake. Runs on the loop's thread.
    func awake() {
        isAsleep.store(false, ordering: .relaxed)
    }

    /// Everything that has arrived. Runs on the loop's thread.
    func takeAll() -> [Letter] {
        guard hasLetters.load(ordering: .acquiring) else { return [] }
        return letters.withLock { letters in
            hasLetters.store(false, ordering: .relaxed)
            defer { letters = [] }
            return letters
        }
    }
}
