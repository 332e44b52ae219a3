// A stream of news out of a store, on a loop.

import PreforkEventLoop
import PreforkStore
import PreforkSystem

/// What subscriptions and watches have in common: poll, and sleep while there is nothing.
///
/// It belongs to one loop, whichever task asks: a task elsewhere goes there for each element.
final class StoreSource<Element: Sendable>: @unchecked Sendable {
    // Sendable: everything but `loop` is touched on the loop's thread only, or before any other thread has the object.
    let loop: EventLoop
    private let table: StoreTable
    private let wish: SleepWish
    /// The next element if there is one now, else when to check again without a ring.
    private let poll: () throws -> Poll
    /// Called when the stream has given its last element, perhaps more than once.
    private let onEnd: () -> Void
    private var listener: StoreListener?
    private var slot: WaitSlot
    private var isOver = false
    private var given = 0

    enum Poll {
        case element(Element)
        /// Nothing now. If not nil, check again after so long at the latest.
        case nothing(within: Duration?)
    }

    init(
        _ table: StoreTable, on loop: EventLoop, wish: SleepWish, onEnd: @escaping () -> Void = {},
        poll: @escaping () throws -> Poll
    ) {
        self.table = table
        self.loop = loop
        self.wish = wish
        self.onEnd = onEnd
        self.poll = poll
        slot = WaitSlot(loop: loop)
    }

    /// The next element. If nil, the stream was ended, or this process is asked to stop. One task at a time.
    func next() async throws -> Element? {
        if loop.isCurrent { return try await nextHere() }
        return try await loop.run { _ in try await self.nextHere() }
    }

    private func nextHere() async throws -> Element? {
        while !isOver, !loop.isStopping {
            if isTurnOver {
                // A subscriber that never runs out of messages must not block the loop.
                given = 0
                try await EventLoop.sleep(for: .zero)
                continue
            }
            switch try pollUnlessPaused() {
            case .element(let element): return element
            case .nothing(let limit):
                // A publisher that clears the wish to be woken and is stopped or killed before it rings would leave its
                // sleepers asleep, and any process can take a ring away.
                let limit = min(limit ?? Bell.longestSleep, Bell.longestSleep)
                guard !slot.isWaiting else { throw PublishedEventsError.alreadyWaiting }
                let listener = try listening()
                var early: Result<Element, any Error>?
                let outcome = await listener.sleep(for: wish, atMost: limit, in: slot) {
                    do {
                        if case .element(let element) = try pollUnlessPaused() { early = .success(element) }
                    } catch {
                        early = .failure(error)
                    }
                    return early != nil
                }
                if let early { return try early.get() }
                if outcome == .cancelled { throw CancellationError() }
            }
        }
        onEnd()
        return nil
    }

    /// Counts the elements that did not have to be waited for.
    private var isTurnOver: Bool {
        given &+= 1
        return given > 1_024 || given > 1 && DrivenLoops.isTurnOver
    }

    private func pollUnlessPaused() throws -> Poll {
        DrivenLoops.isTakingPaused ? .nothing(within: nil) : try poll()
    }

    private func listening() throws -> StoreListener {
        if let listener { return listener }
        let new = try StoreListener.shared(table, on: loop)
        listener = new
        return new
    }

    /// Ends the stream: a waiting task gets nil. From any thread.
    func end() {
        loop.execute { [self] in endHere() }
    }

    /// As `end`. When it returns, the stream has ended.
    func endAndWait() async {
        if loop.isCurrent { return endHere() }
        await withUnsafeContinuation { continuation in
            loop.execute { [self] in
                endHere()
                continuation.resume()
            }
        }
    }

    private func endHere() {
        isOver = true
        onEnd()
        listener = nil
        slot.resume(.closed)
    }
}

/// Two tasks cannot wait for the elements of one sequence.
public enum PublishedEventsError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Another task is suspended in `next()` of the same sequence.
    case alreadyWaiting

    public var description: String { "another task waits for the next element of this sequence" }
}
