// A channel as a value that can be sent.

/// A channel by its name: what travels when a channel is sent through a channel. The receiver must have it by
/// inheritance, as for `Channel.named(_:)`.
public struct ChannelReference<Message: Codable & Sendable>: Codable, Hashable, Sendable {
    /// The channel's name.
    public let name: String

    /// A reference to the channel, to send it through another channel.
    public init(_ channel: Channel<Message>) {
        name = channel.name
    }

    /// - Throws: as `Channel.named(_:)`.
    public func channel() throws(ChannelError) -> Channel<Message> {
        try .named(name)
    }
}

extension Channel {
    /// This channel as a value that can be sent.
    public var reference: ChannelReference<Message> { ChannelReference(self) }
}
