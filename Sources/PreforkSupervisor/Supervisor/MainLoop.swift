// The event loop of the main process, on the supervisor's thread.

import PreforkSystem

/// How much of a supervisor's time its process's own loop has: turns of 5 ms, and half of the time on the whole. What
/// others send, and rings without a message, take no more.
struct LoopShare: Equatable {
    static let turn = Duration.milliseconds(5)

    /// What the loop has had beyond its half.
    private var debt = Duration.zero
    private var lastEnd: MonotonicInstant?

    /// Counts a turn.
    ///
    /// - Returns: the instant before which no other turn follows. If nil, it may follow at once.
    mutating func took(from start: MonotonicInstant, to end: MonotonicInstant) -> MonotonicInstant? {
        if let lastEnd { debt = max(.zero, debt - (start - lastEnd)) }
        debt += end - start
        lastEnd = end
        return debt >= Self.turn ? end + debt : nil
    }
}

/// Turns the loop of this process, where it has one, for the owner of an epoll.
///
/// The loop's own epoll is in the owner's. Workers can make it readable as often as they like: they share the bells.
struct MainLoop {
    private let word: UInt64
    /// What is in the owner's epoll.
    private var number: Int32?
    private var share = LoopShare()
    private var restsUntil: MonotonicInstant?
    /// The owner's wait has said so.
    var hasNews = false
    private var leavesUntil: MonotonicInstant?

    /// How often it is looked whether callbacks have finished what they have in hand.
    private static let leavingPause = Duration.milliseconds(10)
    /// How often the loop is turned where the kernel has no memory left for a watch.
    private static let blindPause = Duration.milliseconds(100)

    /// - Parameter word: what the owner's epoll says when the loop has news.
    init(word: UInt64) { self.word = word }

    /// Before each wait of the owner.
    ///
    /// - Returns: when `turn` is due without news.
    mutating func prepareToWait(on epoll: borrowing Epoll) -> MonotonicInstant? {
        guard let loop = DrivenLoops.driven else {
            forget(epoll)
            return nil
        }
        if number != loop.epollNumber {
            forget(epoll)
            do throws(SystemError) {
                try epoll.add(loop.epollNumber, .readable, word: word)
                number = loop.epollNumber
            } catch {
                // A supervisor does not end for that.
            }
        }
        let due = restsUntil ?? loop.prepareToWait()
        let pause = leavesUntil != nil ? Self.leavingPause : number == nil ? Self.blindPause : nil
        guard let look = pause.map({ MonotonicInstant.now + $0 }) else { return due }
        return min(due ?? look, look)
    }

    /// Once in each turn of the owner, where a process may be forked and nothing else is half done.
    mutating func turn(by epoll: borrowing Epoll) throws(SystemError) {
        let news = hasNews
        hasNews = false
        // In a program that supervises within its own loop, the thread is there.
        guard let loop = DrivenLoops.driven, ThreadLoop.current == nil else { return }
        let start = MonotonicInstant.now
        if let rest = restsUntil {
            guard rest <= start else { return }
            restsUntil = nil
            watch(for: .readable, epoll)
        } else if !news, number == loop.epollNumber {
            guard let due = loop.prepareToWait(), due <= .now else { return }
        }
        try loop.turn(until: start + LoopShare.turn)
        guard let rest = share.took(from: start, to: .now) else { return }
        watch(for: [], epoll)
        restsUntil = rest
    }

    private mutating func watch(for events: EpollEvents, _ epoll: borrowing Epoll) {
        guard let number else { return }
        // Modified and not removed: to add an epoll to an epoll takes a lock of the whole kernel.
        do throws(SystemError) { try epoll.modify(number, events, word: word) } catch {
            epoll.remove(number)
            self.number = nil
        }
    }

    /// Another image of the program will take this process over. Messages stay where they are, and callbacks finish
    /// what they have in hand.
    ///
    /// - Parameter limit: how long that may take.
    /// - Returns: whether nothing keeps this process any more.
    mutating func mayLeave(within limit: Duration) -> Bool {
        guard let loop = DrivenLoops.driven else { return true }
        let now = MonotonicInstant.now
        if leavesUntil == nil {
            leavesUntil = now + limit
            DrivenLoops.pauseTaking(true)
        }
        guard let leavesUntil else { return true }
        return !loop.hasWorkInHand || leavesUntil <= now
    }

    /// The other image does not come.
    mutating func stay() {
        leavesUntil = nil
        DrivenLoops.pauseTaking(false)
    }

    /// Another owner turns the loop, or its thread.
    mutating func forget(_ epoll: borrowing Epoll) {
        if let number { epoll.remove(number) }
        number = nil
        restsUntil = nil
    }
}

/// The loop's descriptors, which no child keeps.
final class MainLoopDescriptors: DescriptorHolder {
    // Proof: it has no state.
    nonisolated(unsafe) static let all = MainLoopDescriptors()

    var heldDescriptors: [HeldDescriptor] {
        (DrivenLoops.driven?.ownDescriptors ?? []).map { HeldDescriptor(.mainLoop, $0) }
    }
}
