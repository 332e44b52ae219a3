// Subscribing to a store's channels.

import PreforkEventLoop
public import PreforkStore
import PreforkSystem

extension SharedStore {
    /// Subscribes to a channel. Every message that any process publishes from now on is delivered or counted as lost.
    /// With `.automatic`, the first subscription of a process also gets what was published since its predecessor ended.
    ///
    /// ```swift
    /// let changes = try store.subscribe("config", as: Config.self)               // once, in a worker's body
    /// let prices = try store.subscribe("prices", as: Int.self, from: .now)       // in the handler of a connection
    /// ```
    ///
    /// - Parameter start: where it begins. A subscription for each connection or request needs `.now`.
    /// - Throws: `StoreError`: `.badKey` for an invalid name, `.badArgument` for a store without a publish log,
    ///   `.system` if no loop can be made.
    public func subscribe<Value: Codable & Sendable>(
        _ channel: String, as type: Value.Type = Value.self, from start: SubscriptionStart = .automatic
    ) throws -> StoreMessages<Value> {
        try StoreMessages(self, channel, from: start)
    }

    /// Calls `body` with each message of a channel, one after the other, on this process's event loop, until this
    /// process is asked to stop. A worker and a managed process end after the call that is being made then.
    ///
    /// - Parameters:
    ///   - start: where it begins. A subscription for each connection or request needs `.now`.
    ///   - onLag: called with the number of messages that were overwritten before they could be read.
    ///   - body: messages of other types are skipped, with a line on standard error.
    /// - Returns: an object whose `unsubscribe` ends the subscription. The subscription continues if the object is not
    ///   kept.
    @discardableResult
    public func onSubscriberReceive<Value: Codable & Sendable>(
        _ channel: String, as type: Value.Type = Value.self, from start: SubscriptionStart = .automatic,
        onLag: (@Sendable (Int) -> Void)? = nil, _ body: @escaping @Sendable (Value) async -> Void
    ) throws -> StoreSubscription {
        let messages = try subscribe(channel, as: type, from: start)
        let loop = try EventLoop.chosen()
        let task = Task(executorPreference: loop.preference) {
            var iterator = messages.makeAsyncIterator()
            while !Task.isCancelled {
                do {
                    guard let next = try await iterator.next(), !Task.isCancelled else { return }
                    switch next {
                    case .message(let value):
                        let work = WorkInHand()
                        await body(value)
                        withExtendedLifetime(work) {}
                    case .lagged(let count): onLag?(count)
                    }
                } catch is CancellationError {
                    return
                } catch {
                    StandardErrorLines.say(
                        "error", "a message of channel \(channel) was skipped: \(error)", by: "message \(channel)")
                }
            }
        }
        return StoreSubscription(task: task, end: messages.unsubscribe)
    }
}

/// A subscription whose messages go to a callback.
public final class StoreSubscription: Sendable {
    private let task: Task<Void, Never>
    private let end: @Sendable () -> Void

    init(task: Task<Void, Never>, end: @escaping @Sendable () -> Void) {
        self.task = task
        self.end = end
    }

    /// If called on the subscription's event loop, no call begins from now on. If called elsewhere, a call that is
    /// about to begin still does. A call that is being made is cancelled. A second `unsubscribe` has no effect.
    public func unsubscribe() {
        task.cancel()
        end()
    }
}
