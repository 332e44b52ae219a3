// Errors of messages.

import PreforkSystem

/// A message could not be read or sent.
///
/// A handler that lets one of the first five go on to the server gets the response that it names. All other errors of
/// handlers are responses of status 500, without the error's text.
public struct HTTPError: Error, Equatable, Sendable {
    /// What went wrong.
    public enum Code: Hashable, Sendable {
        /// The body is above the limit, in bytes (413).
        case bodyTooLarge(limit: Int)
        /// The body's chunks or trailers are malformed (400).
        case malformedBody
        /// The client has not sent the body in time, or not fast enough (408).
        case bodyTimeout
        /// The trailers are above the limits of a head (431).
        case trailersTooLarge
        /// The body's bytes are not what `HTTPBody.decode` was asked for (400).
        ///
        /// - reason: what the decoder has said, which may have text of the client's in it.
        case undecodableBody(reason: String)
        /// The connection ended within the body.
        case bodyIncomplete
        /// The request is over: its handler has returned.
        case requestEnded
        /// Another task reads this body.
        case readInProgress
        /// Another task writes this response.
        case writeInProgress
        /// A field with this name cannot be sent: the name is no token, or the value has a control character.
        case badField(name: String)
        /// A status that this call cannot send.
        case badStatus(HTTPStatus)
        /// More or less was written than the response's length says.
        case wrongLength(expected: Int)
        /// The client has not taken the response in time, or not fast enough.
        case writeTimeout
    }

    /// What went wrong.
    public let code: Code

    init(_ code: Code) { self.code = code }

    /// Whether the body was read to its end, so that the next request can be told from it.
    var leavesWholeRequest: Bool { if case .undecodableBody = code { true } else { false } }

    /// The response's status, where the client has caused it.
    var status: HTTPStatus? {
        switch code {
        case .bodyTooLarge: .contentTooLarge
        case .malformedBody: .badRequest
        case .bodyTimeout: .requestTimeout
        case .trailersTooLarge: .headTooLarge
        case .undecodableBody: .badRequest
        default: nil
        }
    }
}

extension HTTPError: CustomStringConvertible {
    public var description: String {
        switch code {
        case .bodyTooLarge(let limit): "the body has more than \(limit) bytes"
        case .malformedBody: "the body's chunks are malformed"
        case .bodyTimeout: "the client has not sent the body in time"
        case .trailersTooLarge: "the trailers are too large"
        case .undecodableBody(let reason):
            "the body cannot be decoded: \(ForeignText(reason).escaped(for: .log, atMost: 500))"
        case .bodyIncomplete: "the connection ended within the body"
        case .requestEnded: "the request is over"
        case .readInProgress: "another task reads this body"
        case .writeInProgress: "another task writes this response"
        case .badField(let name): "a field that cannot be sent: \(ForeignText(name).escaped(for: .log, atMost: 100))"
        case .badStatus(let status): "status \(status.code) cannot be sent here"
        case .wrongLength(let expected): "the body has not the \(expected) bytes that were announced"
        case .writeTimeout: "the client has not taken the response in time"
        }
    }
}
