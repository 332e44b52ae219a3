// A response, as a handler makes it.

public import PreforkEventLoop

/// What a handler answers: status, fields and body.
///
/// ```swift
/// .text("Hello World")
/// .json(bytes)
/// .notFound
/// .stream { writer in try await writer.write("...") }
/// ```
///
/// The server adds `Date`, `Content-Length` or `Transfer-Encoding`, and `Connection` where it is needed.
public struct HTTPResponse: Sendable {
    /// The status of the final response: 200 to 599.
    public var status: HTTPStatus
    /// Fields beside those that the server adds.
    public var fields: HTTPFields
    /// Left out where there can be none: for HEAD, 204 and 304.
    public var body: Body

    /// - Parameters:
    ///   - status: 200 to 599. Another one becomes a response of status 500.
    ///   - fields: see `HTTPFields.append` for those that are left out.
    ///   - body: empty by default.
    public init(status: HTTPStatus = .ok, fields: HTTPFields = HTTPFields(), body: Body = .empty) {
        self.status = status
        self.fields = fields
        self.body = body
    }

    /// A response's body.
    public struct Body: Sendable {
        enum Kind: Sendable {
            case empty
            case bytes([UInt8])
            case text(String)
            case stream(count: Int?, @Sendable (HTTPBodyWriter) async throws -> Void)
            case transfer(count: Int, @Sendable (HTTPTransfer) async throws -> Void)
            case upgrade(String, @Sendable (Connection) async throws -> Void)
            case webSocket(WebSocketOpening)
            case resumable(ResumableStream)
        }

        let kind: Kind

        /// No bytes.
        public static var empty: Body { Body(kind: .empty) }

        /// These bytes.
        public static func bytes(_ bytes: [UInt8]) -> Body { Body(kind: .bytes(bytes)) }

        /// A text in UTF-8.
        public static func text(_ text: String) -> Body { Body(kind: .text(text)) }

        /// What a closure writes, while it runs.
        ///
        /// Without a length it is sent in chunks, or to a client of HTTP/1.0 until the connection ends. If `body` throws,
        /// the connection ends before the response is complete, which the client sees.
        ///
        /// - Parameters:
        ///   - count: how many bytes `body` will write. If it writes more or less, the connection ends. A negative count
        ///     becomes a response of status 500.
        ///   - body: runs on the connection's task, after the handler has returned. It is not called for HEAD, 204 and
        ///     304.
        public static func stream(
            count: Int? = nil, _ body: @escaping @Sendable (HTTPBodyWriter) async throws -> Void
        ) -> Body {
            Body(kind: .stream(count: count, body))
        }

        /// `count` bytes that a closure moves into the socket by itself, as sendfile(2) does.
        package static func transfer(
            count: Int, _ send: @escaping @Sendable (HTTPTransfer) async throws -> Void
        ) -> Body {
            Body(kind: .transfer(count: count, send))
        }
    }
}

extension HTTPResponse {
    private static let plainText: HTTPFields = ["Content-Type": "text/plain; charset=utf-8"]
    private static let page: HTTPFields = ["Content-Type": "text/html; charset=utf-8"]
    private static let object: HTTPFields = ["Content-Type": "application/json"]
    private static let octets: HTTPFields = ["Content-Type": "application/octet-stream"]

    /// Plain text in UTF-8.
    public static func text(_ text: String, status: HTTPStatus = .ok) -> HTTPResponse {
        HTTPResponse(status: status, fields: plainText, body: .text(text))
    }

    /// A page in UTF-8. Text of others must be escaped before.
    public static func html(_ page: String, status: HTTPStatus = .ok) -> HTTPResponse {
        HTTPResponse(status: status, fields: Self.page, body: .text(page))
    }

    /// JSON that was encoded already.
    public static func json(_ bytes: [UInt8], status: HTTPStatus = .ok) -> HTTPResponse {
        HTTPResponse(status: status, fields: object, body: .bytes(bytes))
    }

    /// JSON that was encoded already.
    public static func json(_ text: String, status: HTTPStatus = .ok) -> HTTPResponse {
        HTTPResponse(status: status, fields: object, body: .text(text))
    }

    /// Bytes without a known meaning: `application/octet-stream`.
    public static func bytes(_ bytes: [UInt8], status: HTTPStatus = .ok) -> HTTPResponse {
        HTTPResponse(status: status, fields: octets, body: .bytes(bytes))
    }

    /// What a closure writes. See `Body.stream`.
    public static func stream(
        count: Int? = nil, status: HTTPStatus = .ok, fields: HTTPFields = HTTPFields(),
        _ body: @escaping @Sendable (HTTPBodyWriter) async throws -> Void
    ) -> HTTPResponse {
        HTTPResponse(status: status, fields: fields, body: .stream(count: count, body))
    }

    /// The pieces of a sequence as they come, for example the request's body: each is sent before the next is asked for.
    public static func stream<Pieces: AsyncSequence & Sendable>(
        _ pieces: Pieces, count: Int? = nil, status: HTTPStatus = .ok, fields: HTTPFields = HTTPFields()
    ) -> HTTPResponse where Pieces.Element == [UInt8] {
        .stream(count: count, status: status, fields: fields) { writer in
            for try await piece in pieces { try await writer.write(piece) }
        }
    }

    /// A status without a body.
    public static func status(_ status: HTTPStatus) -> HTTPResponse { HTTPResponse(status: status) }

    /// 404 with the server's text, `404 Not Found`.
    public static var notFound: HTTPResponse { .text("404 Not Found\n", status: .notFound) }

    /// 400 with the server's text, `400 Bad Request`.
    public static var badRequest: HTTPResponse { .text("400 Bad Request\n", status: .badRequest) }

    /// 204.
    public static var noContent: HTTPResponse { HTTPResponse(status: .noContent) }

    /// A response that sends the client elsewhere.
    ///
    /// - Parameters:
    ///   - location: where to, as a URI. One that holds text of others must be encoded before.
    ///   - status: `.found`, `.seeOther`, `.temporaryRedirect` and so on.
    /// - Throws: `HTTPError` (`.badField`) for a location with control characters.
    public static func redirect(to location: String, status: HTTPStatus = .found) throws(HTTPError) -> HTTPResponse {
        var response = HTTPResponse(status: status)
        try response.fields.append("Location", location)
        return response
    }

    /// Changes to another protocol: sends 101 with `Upgrade` and `Connection: upgrade`, then runs `serve` on the
    /// connection, which is closed when it returns. What the client has sent behind its request is in
    /// `connection.reader`. None of the HTTP server's limits holds any more. `connection.isDraining` tells when the
    /// server ends.
    ///
    /// For a request that does not ask for an upgrade to this protocol, or has a body that was not read, the response is
    /// 426 with `Upgrade`.
    ///
    /// - Parameters:
    ///   - name: the protocol's, such as `websocket`.
    ///   - fields: further fields of the 101.
    ///   - serve: owns the connection until it returns.
    public static func upgrade(
        to name: String, fields: HTTPFields = HTTPFields(),
        _ serve: @escaping @Sendable (Connection) async throws -> Void
    ) -> HTTPResponse {
        HTTPResponse(status: .switchingProtocols, fields: fields, body: Body(kind: .upgrade(name, serve)))
    }
}
