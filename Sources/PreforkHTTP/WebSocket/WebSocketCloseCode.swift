// Why a WebSocket is closed (RFC 6455, section 7.4).

/// The status code of a closed WebSocket.
public struct WebSocketCloseCode: RawRepresentable, Hashable, Sendable {
    /// The number of RFC 6455, section 7.4, or of IANA's registry.
    public let rawValue: UInt16

    /// A code by its number.
    ///
    /// - Parameter rawValue: any number. `WebSocket.close` refuses those that may not be sent.
    public init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    /// The purpose of the connection is fulfilled.
    public static let normal = WebSocketCloseCode(rawValue: 1000)
    /// The server stops, or the page was left.
    public static let goingAway = WebSocketCloseCode(rawValue: 1001)
    /// The other side has broken RFC 6455.
    public static let protocolError = WebSocketCloseCode(rawValue: 1002)
    /// A kind of message, text or binary, that this endpoint does not take.
    public static let unsupportedData = WebSocketCloseCode(rawValue: 1003)
    /// The other side has closed without a code. Never sent.
    public static let noStatus = WebSocketCloseCode(rawValue: 1005)
    /// The connection was lost without a close frame. Never sent.
    public static let abnormal = WebSocketCloseCode(rawValue: 1006)
    /// A message does not fit its kind: text that is not UTF-8.
    public static let invalidPayload = WebSocketCloseCode(rawValue: 1007)
    /// A message breaks a rule of the program.
    public static let policyViolation = WebSocketCloseCode(rawValue: 1008)
    /// A message is larger than the limit.
    public static let messageTooBig = WebSocketCloseCode(rawValue: 1009)
    /// A client needs an extension that the server has not agreed to.
    public static let mandatoryExtension = WebSocketCloseCode(rawValue: 1010)
    /// The server's handler has failed.
    public static let internalError = WebSocketCloseCode(rawValue: 1011)
    /// The service restarts: connect again.
    public static let serviceRestart = WebSocketCloseCode(rawValue: 1012)
    /// The server is overloaded: connect again later.
    public static let tryAgainLater = WebSocketCloseCode(rawValue: 1013)
    /// The server is a gateway, and the server behind it has answered with nonsense.
    public static let badGateway = WebSocketCloseCode(rawValue: 1014)

    /// Whether it may stand in a close frame: 1000 to 1003, 1007 to 1014, 3000 to 4999. The others are reserved, or
    /// stand for what happened without a code.
    public var maySend: Bool {
        switch rawValue {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }

    /// Whether a peer that closes so has just finished: `for await` over the messages then ends without an error.
    var isOrderly: Bool { [.normal, .goingAway, .noStatus].contains(self) }
}

extension WebSocketCloseCode: CustomStringConvertible {
    public var description: String { "\(rawValue)" }
}
