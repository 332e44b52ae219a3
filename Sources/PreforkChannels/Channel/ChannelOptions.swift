// Options of a channel.

import PreforkCBOR
public import PreforkStore

/// The sizes and rules of a `Channel`, which are the same for both of its ends and for its whole life.
public struct ChannelOptions: Sendable {
    /// What happens to messages that a dead process had not taken when another process comes to its end. A process that
    /// has handed its end over to a successor in order has lost no message: the successor receives them.
    public enum Undelivered: Hashable, Sendable {
        /// The successor receives them.
        case keep
        /// They are thrown away.
        case drop
    }

    /// Room for messages on their way, in bytes, for each direction. Rounded up to a power of two, at least 4 KiB, at
    /// most 1 GiB. Each message takes its own bytes and 24 to 31 more. Memory counts when it is first used.
    public var ringBytes = 256 * 1024
    /// The largest message, in bytes. At least one, less than 4 GiB. A message that is larger than a quarter of the
    /// ring travels in a memory file beside it.
    public var messageLimit = 64 * 1024 * 1024
    /// What happens to messages that a dead process had not taken.
    public var undelivered = Undelivered.keep
    /// Whether the channel can be sent to processes that have not inherited it (see `Channel.encode(to:)`). If nil, it
    /// can if it is made in a child, or after the first fork by a parent whose children keep its user.
    ///
    /// Every process that has such a channel can make the others wait, by holes in the memory (madvise(2),
    /// MADV_REMOVE). Other channels' memory it can only overwrite. So a supervisor that has workers of another user
    /// must not use a channel that travels.
    public var travels: Bool?
    /// For message types that are no `SharedValue`.
    public var codec: any ValueCodec

    /// The defaults: 256 KiB for each direction, messages of at most 64 MiB, `.keep`, CBOR.
    public init() {
        codec = CBORCodec()
    }
}
