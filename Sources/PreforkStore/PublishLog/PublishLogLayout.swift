// The layout of a store's publish log.

/// Offsets within the log's part of a store, and the shape of a message.
///
/// | region   | size         | written by                                                       |
/// |----------|--------------|------------------------------------------------------------------|
/// | lock     | 64 bytes     | publishers                                                       |
/// | tail     | a line       | the publisher: messages before it are gone                       |
/// | commit   | a word       | the publisher: messages before it are whole                      |
/// | channels | 512 × 16     | the publisher: a channel's hash, how many messages it has had    |
/// | cursors  | 256 × 32     | each by its subscriber: hash of its name, last message, position, |
/// |          |              | and which process of a slot continues (`CursorTurn`)             |
/// | ring     | power of two | the publisher                                                    |
///
/// Positions count bytes since the store was made and never go back. A message, from a multiple of 8:
///
/// | bytes     | what                                                       |
/// |-----------|------------------------------------------------------------|
/// | 0 ..< 8   | length of all of it 32, length of the name 16, kind 8      |
/// | 8 ..< 16  | the channel's hash, or 0 for a filler up to the ring's end |
/// | 16 ..< 24 | its number in the channel, from 1                          |
/// | 24 ..< 32 | length of the value                                        |
/// | then      | the channel's name, the value                              |
enum PublishLogLayout {
    static let lock = 0
    static let tail = 64
    static let commit = 128
    static let channels = 192
    static let channelCount = 512
    static let cursors = channels + channelCount * LogChannel.byteCount
    static let cursorCount = 256
    static let ring = cursors + cursorCount * LogCursor.byteCount
    static let messageHeader = 32

    /// The ring's size for the requested one.
    static func ringBytes(_ wanted: Int) -> Int {
        if wanted <= 0 { return 0 }
        // In a smaller one, a message could be no longer than its header and the longest name.
        var size = 16 << 10
        while size < wanted { size *= 2 }
        return size
    }

    static func byteCount(ring wanted: Int) -> Int {
        wanted <= 0 ? 0 : ring + ringBytes(wanted)
    }
}

/// Words of a channel's entry, by byte offset.
enum LogChannel {
    static let hash = 0
    static let count = 8
    static let byteCount = 16
}

/// Words of a cursor, by byte offset.
enum LogCursor {
    static let name = 0
    static let number = 8
    static let position = 16
    static let turn = 24
    static let byteCount = 32
}

/// Words of a message, by byte offset.
enum LogMessage {
    static let lengths = 0
    static let channel = 8
    static let number = 16
    static let valueBytes = 24
}
