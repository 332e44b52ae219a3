// Status codes.

/// A response's status: its code, from 100 to 599.
public struct HTTPStatus: Hashable, Sendable {
    private let number: UInt16

    /// - Returns: nil for a code that is not within 100...599.
    public init?(_ code: Int) {
        guard (100...599).contains(code) else { return nil }
        number = UInt16(code)
    }

    private init(_ number: UInt16) { self.number = number }

    /// The three digits.
    public var code: Int { Int(number) }

    /// 1xx: the final response follows.
    public var isInformational: Bool { number < 200 }

    /// Whether responses of this status never have a body (RFC 9110, 6.4.1).
    var isWithoutBody: Bool { number < 200 || number == 204 || number == 304 }
}

extension HTTPStatus {
    /// 100: sent by the server itself, when a handler reads the body of a client that waits for it.
    public static let `continue` = HTTPStatus(100 as UInt16)
    /// 101: sent by the server itself, for `HTTPResponse.upgrade`.
    public static let switchingProtocols = HTTPStatus(101 as UInt16)
    /// 103 (RFC 8297): fields that the final response will have.
    public static let earlyHints = HTTPStatus(103 as UInt16)
    /// 200.
    public static let ok = HTTPStatus(200 as UInt16)
    /// 201.
    public static let created = HTTPStatus(201 as UInt16)
    /// 202: the work is not done yet.
    public static let accepted = HTTPStatus(202 as UInt16)
    /// 204: without a body.
    public static let noContent = HTTPStatus(204 as UInt16)
    /// 206: a range of the content.
    public static let partialContent = HTTPStatus(206 as UInt16)
    /// 301: permanently at another place. Clients may change POST to GET.
    public static let movedPermanently = HTTPStatus(301 as UInt16)
    /// 302: for now at another place. Clients may change POST to GET.
    public static let found = HTTPStatus(302 as UInt16)
    /// 303: the result is at another place, for GET.
    public static let seeOther = HTTPStatus(303 as UInt16)
    /// 304: what the client has is still right. Without a body.
    public static let notModified = HTTPStatus(304 as UInt16)
    /// 307: for now at another place, by the same method.
    public static let temporaryRedirect = HTTPStatus(307 as UInt16)
    /// 308: permanently at another place, by the same method.
    public static let permanentRedirect = HTTPStatus(308 as UInt16)
    /// 400.
    public static let badRequest = HTTPStatus(400 as UInt16)
    /// 401: needs a `WWW-Authenticate` field.
    public static let unauthorized = HTTPStatus(401 as UInt16)
    /// 403.
    public static let forbidden = HTTPStatus(403 as UInt16)
    /// 404.
    public static let notFound = HTTPStatus(404 as UInt16)
    /// 405: needs an `Allow` field.
    public static let methodNotAllowed = HTTPStatus(405 as UInt16)
    /// 406.
    public static let notAcceptable = HTTPStatus(406 as UInt16)
    /// 408: the client was too slow.
    public static let requestTimeout = HTTPStatus(408 as UInt16)
    /// 409.
    public static let conflict = HTTPStatus(409 as UInt16)
    /// 410.
    public static let gone = HTTPStatus(410 as UInt16)
    /// 411.
    public static let lengthRequired = HTTPStatus(411 as UInt16)
    /// 412: a condition of the request is not met.
    public static let preconditionFailed = HTTPStatus(412 as UInt16)
    /// 413: the body is above its limit.
    public static let contentTooLarge = HTTPStatus(413 as UInt16)
    /// 414: the request line is above its limit.
    public static let uriTooLong = HTTPStatus(414 as UInt16)
    /// 415.
    public static let unsupportedMediaType = HTTPStatus(415 as UInt16)
    /// 416: no byte of the range exists.
    public static let rangeNotSatisfiable = HTTPStatus(416 as UInt16)
    /// 417: an expectation other than `100-continue`.
    public static let expectationFailed = HTTPStatus(417 as UInt16)
    /// 422.
    public static let unprocessableContent = HTTPStatus(422 as UInt16)
    /// 426: needs an `Upgrade` field.
    public static let upgradeRequired = HTTPStatus(426 as UInt16)
    /// 428 (RFC 6585).
    public static let preconditionRequired = HTTPStatus(428 as UInt16)
    /// 429 (RFC 6585).
    public static let tooManyRequests = HTTPStatus(429 as UInt16)
    /// 431 (RFC 6585): the head is above its limit.
    public static let headTooLarge = HTTPStatus(431 as UInt16)
    /// 500.
    public static let internalServerError = HTTPStatus(500 as UInt16)
    /// 501.
    public static let notImplemented = HTTPStatus(501 as UInt16)
    /// 502.
    public static let badGateway = HTTPStatus(502 as UInt16)
    /// 503.
    public static let serviceUnavailable = HTTPStatus(503 as UInt16)
    /// 504.
    public static let gatewayTimeout = HTTPStatus(504 as UInt16)
    /// 505.
    public static let versionNotSupported = HTTPStatus(505 as UInt16)

    /// The phrase behind the code in the status line. Empty for a code without a registered one.
    public var reason: String { phrase.description }

    var phrase: StaticString {
        switch number {
        case 100: "Continue"
        case 101: "Switching Protocols"
        case 102: "Processing"
        case 103: "Early Hints"
        case 200: "OK"
        case 201: "Created"
        case 202: "Accepted"
        case 203: "Non-Authoritative Information"
        case 204: "No Content"
        case 205: "Reset Content"
        case 206: "Partial Content"
        case 207: "Multi-Status"
        case 300: "Multiple Choices"
        case 301: "Moved Permanently"
        case 302: "Found"
        case 303: "See Other"
        case 304: "Not Modified"
        case 307: "Temporary Redirect"
        case 308: "Permanent Redirect"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 402: "Payment Required"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 406: "Not Acceptable"
        case 407: "Proxy Authentication Required"
        case 408: "Request Timeout"
        case 409: "Conflict"
        case 410: "Gone"
        case 411: "Length Required"
        case 412: "Precondition Failed"
        case 413: "Content Too Large"
        case 414: "URI Too Long"
        case 415: "Unsupported Media Type"
        case 416: "Range Not Satisfiable"
        case 417: "Expectation Failed"
        case 421: "Misdirected Request"
        case 422: "Unprocessable Content"
        case 423: "Locked"
        case 424: "Failed Dependency"
        case 425: "Too Early"
        case 426: "Upgrade Required"
        case 428: "Precondition Required"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        case 451: "Unavailable For Legal Reasons"
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        case 505: "HTTP Version Not Supported"
        case 507: "Insufficient Storage"
        case 511: "Network Authentication Required"
        default: ""
        }
    }
}

extension HTTPStatus: CustomStringConvertible {
    public var description: String {
        let reason = reason
        return reason.isEmpty ? "\(number)" : "\(number) \(reason)"
    }
}
