// A channel's name as a value.

/// A channel by its name, for values that have no descriptors: of a store, of a queue, of a file. The receiver must have
/// the channel by inheritance, or find it registered, as for `Channel.named(_:)`. In a message of a channel the channel
/// itself can travel.
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
    /// This channel's name, as a value that can be stored.
    public var reference: ChannelReference<Message> { ChannelReference(self) }
}
