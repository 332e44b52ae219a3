// The messages of a channel, as a sequence.

import PreforkEventLoop
import PreforkStore
import PreforkSystem
import Synchronization

/// What a subscriber to a channel of a store receives: a message, or how many it has missed.
public enum StoreMessage<Value: Sendable>: Sendable {
    /// A message, in the order in which it was published.
    case message(Value)
    /// So many messages of the channel were overwritten before this subscriber read them.
    case lagged(Int)
}

extension StoreMessage: Equatable where Value: Equatable {}

/// Where a subscription begins.
public enum SubscriptionStart: Hashable, Sendable {
    /// In a worker and a managed process, the first subscription to the channel begins after the last message that the
    /// predecessor was given (the worker of the same task ID, the process of the same name), as soon as the predecessor
    /// has stopped. If there is no predecessor, it begins now. In the main process, the first subscription to the
    /// channel after an upgrade begins after the last message that the previous program was given, if that program had
    /// subscribed in the same way. Every other subscription begins now.
    ///
    /// For a subscription that each process makes once, as in a worker's body. The first one counts, whichever code
    /// makes it: made in the handler of a connection, it would give what was missed to the first client of a new worker.
    case automatic
    /// With what is published after the subscription was made. For a subscription for each connection or request.
    case now
    /// After the last message that a subscription under this name was given, if there was one. Otherwise now. A message
    /// is noted as given before it is handled, so that a message that kills its subscriber does not come again. The
    /// successor of a worker or a managed process waits until its predecessor has stopped. Each of several other
    /// subscribers under one name gets all messages. 256 names per store, any text that is not empty.
    case resuming(as: String)
    /// After the last message that another subscription to the channel was given when it said its `place`. For the
    /// subscription of a connection that moves to another worker: the place is in the state that moves with it. A place of
    /// another channel or store gives no message twice, and may lose some.
    case after(SubscriptionPlace)
}

/// How far a subscription has come: see `StoreMessages.place`. It holds in all processes that have the store, also after
/// an upgrade.
public struct SubscriptionPlace: Codable, Hashable, Sendable {
    let number: UInt64
    let position: UInt64

    init(_ place: PublishLogReader.Place) { (number, position) = (place.number, place.position) }

    var inLog: PublishLogReader.Place { PublishLogReader.Place(number: number, position: position) }
}

/// A subscription to a channel: an `AsyncSequence` of messages in the order in which they were published.
///
/// Every message that is published after the subscription was made is either delivered, or counted in a `.lagged`. A
/// subscriber that falls further behind than the store's publish log holds loses the oldest messages. It never slows
/// publishers down. The sequence ends when this process is asked to stop: a worker's successor continues where it ended
/// (see `SubscriptionStart.automatic`). A message published by this process is delivered, too.
public final class StoreMessages<Value: Codable & Sendable>: AsyncSequence, Sendable {
    public typealias Element = StoreMessage<Value>
    private let source: StoreSource<Element>
    private let ownPlace: Place

    /// Used on the loop of the source, or where no loop runs.
    fileprivate final class Place: @unchecked Sendable {
        // Sendable: everything is touched on the loop's thread only, or before any other thread has the object, or by a
        // supervisor that is about to leave its process to another program, on its only thread.
        var reader: PublishLogReader
        /// The cursor by which another image of the program continues.
        let cursor: [UInt8]?

        init(_ reader: PublishLogReader, leftAs cursor: [UInt8]?) {
            self.reader = reader
            self.cursor = cursor
        }

        /// An image that can inherit nothing begins with what is published then.
        func leave() { if let cursor { try? reader.leave(as: cursor) } }
    }

    init(_ store: SharedStore, _ channel: String, from start: SubscriptionStart) throws {
        if case .resuming(let name) = start, name.isEmpty {
            throw StoreError(.badArgument("a subscription that resumes without a name"), key: channel)
        }
        let name = SubscriptionNames.cursor(for: channel, start)
        let isMain = name == SubscriptionNames.main
        let reader: PublishLogReader
        let after: PublishLogReader.Place? = if case .after(let place) = start { place.inLog } else { nil }
        do throws(StoreError) {
            reader = try PublishLogReader(
                store.table, channel: Array(channel.utf8),
                resumingAs: isMain && !Handover.isLaterImage ? nil : name, ifKnown: isMain,
                after: after)
        } catch {
            // Out of cursors: a subscription without a chosen name does without.
            guard start == .automatic, case .badArgument = error.code, name != nil else { throw error }
            reader = try PublishLogReader(store.table, channel: Array(channel.utf8), resumingAs: nil)
        }
        let coding = ValueCoding<Value>(codec: store.codec)
        let place = Place(reader, leftAs: isMain ? name : nil)
        ownPlace = place
        let loop = try EventLoop.chosen()
        source = StoreSource(store.table, on: loop, wish: reader.sleepWish, onEnd: { place.reader.endTurn() }) {
            switch place.reader.next() {
            case nil: .nothing(within: place.reader.waitsForPredecessor ? LoopBellWatch.claimPause : nil)
            case .lagged(let count): .element(.lagged(count))
            case .message(let kind, let bytes):
                .element(.message(try bytes.withUnsafeBytes { try coding.decode(kind, $0) }))
            }
        }
        if isMain { LeftSubscriptions.add(place) }
    }

    deinit {
        source.end()
    }

    /// Where another subscription must begin to get every message that this one has not given (`SubscriptionStart.after`).
    /// On the loop on which the subscription was made, as in a worker's tasks. Elsewhere the program ends.
    public var place: SubscriptionPlace {
        // The program's code decides which thread calls. Continuing would be a data race.
        precondition(source.loop.isCurrent, "a subscription's place is read on its own event loop")
        return SubscriptionPlace(ownPlace.reader.place)
    }

    /// Ends the sequence, also for a task that waits for its next element. A second call has no effect.
    public func unsubscribe() {
        source.end()
    }

    /// Waits for messages of the channel. Only one task at a time may call `next()`.
    public struct Iterator: AsyncIteratorProtocol {
        let messages: StoreMessages

        /// - Throws: `CancellationError`. `ValueMismatch` or the codec's error for a message of another type, after
        ///   which the sequence continues.
        public mutating func next() async throws -> StoreMessage<Value>? {
            try await messages.source.next()
        }
    }

    public func makeAsyncIterator() -> Iterator {
        Iterator(messages: self)
    }
}

/// The subscriptions that another image of the program continues.
private enum LeftSubscriptions {
    private struct Entry: Sendable {
        weak var place: (any LeftPlace)?
    }

    private static let entries = Mutex<[Entry]>([])
    private static let isRegistered: Void = DrivenLoops.onLeaving {
        for place in entries.withLock({ $0.compactMap(\.place) }) { place.leave() }
    }

    static func add(_ place: any LeftPlace) {
        isRegistered
        entries.withLock { entries in
            entries.removeAll { $0.place == nil }
            entries.append(Entry(place: place))
        }
    }
}

private protocol LeftPlace: AnyObject, Sendable {
    func leave()
}

extension StoreMessages.Place: LeftPlace {}

/// Names of cursors that the package chooses.
private enum SubscriptionNames {
    /// Of the main process.
    static let main = Array("\0main".utf8)

    private static let seen = Mutex<(process: UInt64, channels: Set<String>)>((0, []))

    static func cursor(for channel: String, _ start: SubscriptionStart) -> [UInt8]? {
        switch start {
        case .now, .after: return nil
        case .resuming(let name): return Array(name.utf8)
        case .automatic:
            if let name = ownName { return isFirst(of: channel) ? Array(name.utf8) : nil }
            return ForkCount.isFirst && isFirst(of: channel) ? main : nil
        }
    }

    /// The same in each process of a slot.
    private static var ownName: String? {
        if let task = TaskIdentity.current { return "\0task \(task.taskID)" }
        return ProcessSlot.current.map { "\0slot \($0.identity)" }
    }

    /// Whether this process has not subscribed to the channel before: its later subscriptions may be short-lived, for
    /// example for one request, and no successor continues them.
    private static func isFirst(of channel: String) -> Bool {
        seen.withLock { seen in
            if seen.process != ForkCount.current { seen = (ForkCount.current, []) }
            // No more names than there are cursors.
            return seen.channels.count < 256 && seen.channels.insert(channel).inserted
        }
    }
}
