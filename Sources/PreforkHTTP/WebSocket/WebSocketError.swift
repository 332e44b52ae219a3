// The errors of WebSockets.

public import PreforkEventLoop
import PreforkSystem

/// An operation on a `WebSocket` failed.
///
/// Cancellation is not among these: a cancelled operation throws `CancellationError`. When the handler of a WebSocket
/// throws such an error, its connection ends without a line in the log: it says what the client did.
public struct WebSocketError: Error, Equatable, Sendable {
    /// What went wrong.
    public enum Code: Hashable, Sendable {
        /// The peer has closed with this code and reason.
        case closedByPeer(WebSocketCloseCode, reason: String)
        /// This side has closed, or has begun to: nothing can be sent any more.
        case closed
        /// The peer has broken RFC 6455 or a limit, and was told so with this code.
        case violation(WebSocketCloseCode, reason: String)
        /// The connection has moved to another worker (`WebSocket.handoverState`). What this call would have sent was
        /// not sent.
        case handedOver
        /// The connection ended without a close frame.
        case lost
        /// The peer did not answer a ping, did not take what was sent, or did not answer a close frame.
        case timedOut
        /// Another task waits for the next message.
        case readInProgress
        /// A close code that may not be sent, or a reason or a payload that is too long. Nothing was sent.
        case badArgument(String)
    }

    /// What went wrong.
    public let code: Code
    /// The failed operation of the stream, for `.lost`.
    public let underlying: StreamError?

    init(_ code: Code, _ underlying: StreamError? = nil) {
        self.code = code
        self.underlying = underlying
    }
}

extension WebSocketError: CustomStringConvertible {
    public var description: String {
        let text =
            switch code {
            case .closedByPeer(let code, let reason):
                "the peer has closed the WebSocket: \(code)\(Self.shown(reason))"
            case .closed: "the WebSocket is closed"
            case .violation(let code, let reason): "the peer has broken the protocol: \(code)\(Self.shown(reason))"
            case .handedOver: "the WebSocket has moved to another worker"
            case .lost: "the connection of the WebSocket was lost"
            case .timedOut: "the peer of the WebSocket does not answer"
            case .readInProgress: "another task waits for the next message"
            case .badArgument(let call): "not possible: \(call)"
            }
        return underlying.map { "\(text): \($0)" } ?? text
    }

    /// A reason is the peer's text.
    private static func shown(_ reason: String) -> String {
        reason.isEmpty ? "" : " (\(Escaping.brief(reason)))"
    }
}
