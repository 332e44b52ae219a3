// News of the other end for its observers.

import PreforkEventLoop
import PreforkSystem
import Synchronization

/// What happens at the other end of a channel.
public enum ChannelPeerEvent: Hashable, Sendable {
    /// A process has come to the other end, its `generation`-th.
    case attached(generation: UInt64)
    /// The process of that generation has ended without closing.
    case died(generation: UInt64)
    /// The other end is closed.
    case closed
    /// The process at the other end has left it to its successor in the same slot, the `generation`-th there.
    case succeeded(generation: UInt64)
}

/// What was reported so far, and to which observers.
struct PeerObservers: Sendable {
    private struct Observer {
        let id: UInt64
        /// The only loop that runs its body. When the loop has gone, there is no observer left.
        weak var loop: EventLoop?
        var news = PeerNews()
        let body: @Sendable (ChannelPeerEvent) -> Void
    }

    private var observers: [Observer] = []
    private var lastID: UInt64 = 0

    var isEmpty: Bool { observers.isEmpty }

    mutating func add(on loop: EventLoop, _ body: @escaping @Sendable (ChannelPeerEvent) -> Void) -> UInt64 {
        observers.removeAll { $0.loop == nil }
        lastID &+= 1
        observers.append(Observer(id: lastID, loop: loop, body: body))
        return lastID
    }

    mutating func remove(_ id: UInt64) {
        observers.removeAll { $0.id == id }
    }

    /// The news for each observer on `loop`.
    mutating func news(
        _ record: EndRecord, dead: UInt64, on loop: EventLoop
    ) -> [(body: @Sendable (ChannelPeerEvent) -> Void, events: [ChannelPeerEvent])] {
        observers.indices.filter { observers[$0].loop === loop }.map {
            (observers[$0].body, observers[$0].news.advance(to: record, dead: dead))
        }
    }
}

/// Turns what the header says now into what has happened since the last check.
struct PeerNews: Hashable, Sendable {
    private var generation: UInt64 = 0
    private var isOver = true

    /// - Parameter dead: the last generation that is known to be dead.
    mutating func advance(to record: EndRecord, dead: UInt64) -> [ChannelPeerEvent] {
        var events: [ChannelPeerEvent] = []
        if !isOver, record.generation > generation,
            record.succeeded.containsAll(from: generation, before: record.generation)
        {
            generation = record.generation
            events.append(.succeeded(generation: generation))
        } else if record.generation > generation {
            // The previous process must be gone, or there would be no next one. Processes in between were never
            // reported.
            if !isOver { events.append(record.closed.contains(generation) ? .closed : .died(generation: generation)) }
            generation = record.generation
            isOver = false
            events.append(.attached(generation: generation))
        }
        if !isOver, record.isClosed || dead >= generation {
            isOver = true
            events.append(record.isClosed ? .closed : .died(generation: generation))
        }
        return events
    }
}

extension ChannelEnd {
    var hasObservers: Bool { wiring.withLock { !$0.observers.isEmpty } }

    /// Calls the observers on `loop`. Runs on its thread.
    func tellObservers(on loop: EventLoop) {
        let record = memory.record(of: side.other)
        let dead = deadGeneration.load(ordering: .acquiring)
        for observer in wiring.withLock({ $0.observers.news(record, dead: dead, on: loop) }) {
            for event in observer.events { observer.body(event) }
        }
    }
}

/// A callback of a channel, which can be taken back.
public final class ChannelRegistration: Sendable {
    private let onCancel: @Sendable () -> Void

    init(_ onCancel: @escaping @Sendable () -> Void) {
        self.onCancel = onCancel
    }

    /// No call begins after this returns, except one that another thread was about to begin. A second call has no
    /// effect. Forgetting the registration does not cancel it.
    public func cancel() {
        onCancel()
    }
}
