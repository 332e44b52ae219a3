// Publish and subscribe as a protocol: a log in shared memory, or a server for many machines.

public import PreforkStore

/// What a subscriber to a channel of a backend receives.
public enum PublishedEvent: Hashable, Sendable {
    /// A message, in the order in which its publisher sent it.
    case message(StoredValue)
    /// So many messages of this channel were overwritten before this subscriber read them. If nil, the backend cannot
    /// count them, because a server's connection was lost and made again.
    case lagged(Int?)
}

/// One subscriber's view of one channel.
public protocol PublishedEvents: AsyncSequence, Sendable where Element == PublishedEvent, Failure == any Error {
    /// Ends the sequence. Nothing is delivered after it returns. A second call has no effect.
    func unsubscribe() async
}

/// Publish and subscribe: every message of a channel to every subscriber of it, in order per publisher.
public protocol PubSubBackend: Sendable {
    /// What this backend does beyond the operations of the protocol. Constant for its lifetime.
    var capabilities: BackendCapabilities { get }

    /// Sends a value to all current subscribers of a channel, in this and in other processes. It does not wait for
    /// them.
    ///
    /// - Throws: the backend's own errors, such as a lost connection. The message may still have been sent.
    func publish(_ channel: String, _ value: StoredValue) async throws

    /// What is published after this returns is delivered.
    func subscribe(_ channel: String) async throws -> any PublishedEvents
}
