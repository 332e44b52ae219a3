// Messages as a sequence.

import PreforkEventLoop
import PreforkSystem

extension Channel {
    /// The messages that arrive at this end, from now to the channel's end.
    ///
    /// Ends when the other end or this one is closed, and when this process is asked to stop. The other process's death
    /// does not end it: what its successor sends follows. Several iterators share the messages. All errors of `receive`
    /// but `.closed`, `.stopping` and `.peerDied` are thrown. In a main process that supervises, a message is in hand
    /// until the next one is asked for, or its iterator is gone: an upgrade in place waits for that.
    public var messages: ChannelMessages<Message> { ChannelMessages(channel: self) }
}

/// The messages of one end of a `Channel`.
public struct ChannelMessages<Message: Codable & Sendable>: AsyncSequence, Sendable {
    @usableFromInline let channel: Channel<Message>

    /// Receives one message for each `next()`. A message goes to one iterator only.
    public struct Iterator: AsyncIteratorProtocol {
        @usableFromInline let channel: Channel<Message>
        /// What a main process that supervises has in hand.
        @usableFromInline var hand: MessageInHand?

        @usableFromInline
        init(channel: Channel<Message>) {
            self.channel = channel
        }

        @inlinable
        public mutating func next() async throws -> Message? {
            hand = nil
            while true {
                do {
                    let message = try await channel.receive()
                    if MessageInHand.isCounted { hand = MessageInHand() }
                    return message
                } catch let error as ChannelError {
                    switch error.code {
                    case .closed, .stopping: return nil
                    case .peerDied: continue
                    default: throw error
                    }
                }
            }
        }
    }

    @inlinable
    public func makeAsyncIterator() -> Iterator {
        Iterator(channel: channel)
    }
}

/// A message that a loop over `messages` has taken in a main process that supervises.
@usableFromInline
final class MessageInHand: Sendable {
    private let work = WorkInHand()

    @usableFromInline
    init() {}

    /// One load.
    @usableFromInline
    static var isCounted: Bool { DrivenLoops.isTurning }
}
