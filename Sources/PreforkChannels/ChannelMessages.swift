// Messages as a sequence.

extension Channel {
    /// The messages that arrive at this end, from now to the channel's end.
    ///
    /// Ends when the other end or this one is closed, and when this process is asked to stop. The other process's death
    /// does not end it: what its successor sends follows. Several iterators share the messages. All errors of `receive`
    /// but `.closed`, `.stopping` and `.peerDied` are thrown.
    public var messages: ChannelMessages<Message> { ChannelMessages(channel: self) }
}

/// The messages of one end of a `Channel`.
public struct ChannelMessages<Message: Codable & Sendable>: AsyncSequence, Sendable {
    @usableFromInline let channel: Channel<Message>

    public struct Iterator: AsyncIteratorProtocol {
        @usableFromInline let channel: Channel<Message>

        @usableFromInline
        init(channel: Channel<Message>) {
            self.channel = channel
        }

        @inlinable
        public mutating func next() async throws -> Message? {
            while true {
                do {
                    return try await channel.receive()
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
