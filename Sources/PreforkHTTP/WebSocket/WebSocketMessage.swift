// What travels over a WebSocket.

/// One whole message, put together from its fragments.
public enum WebSocketMessage: Hashable, Sendable {
    /// A message of text. UTF-8 was checked while it arrived.
    case text(String)
    /// A message of bytes.
    case binary([UInt8])
}
