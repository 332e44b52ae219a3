// What closing a connection needs to know of an HTTP message, in NIO's types and in those of swift-http-types.

import HTTPTypes
import NIOHTTP1
import NIOHTTPTypes

/// A part of an HTTP/1 message. NIO's parts and those of swift-http-types conform.
public protocol HTTPMessagePart {
    /// Whether this part begins a message.
    var isHead: Bool { get }
    /// Whether this part ends a message.
    var isEnd: Bool { get }
    /// Of a request's head: method and path, for reports, without the query. nil for any other part.
    var requestLabel: String? { get }
    /// The same part. A head gets `Connection: close`.
    func announcingClose() -> Self
}

/// A part of an answer.
public protocol HTTPAnswerPart: HTTPMessagePart {
    /// 503 for a request that is in quarantine, with the connection's end: what follows on it is not read.
    ///
    /// - Parameter seconds: when another try makes sense. If nil, when an operator says so.
    static func refusal(retryAfter seconds: Int64?) -> [Self]
}

extension HTTPMessagePart {
    /// nil: a part of an answer.
    public var requestLabel: String? { nil }

    static func label(_ method: String, _ target: some StringProtocol) -> String {
        "\(method) \(target.prefix { $0 != "?" })"
    }
}

/// A head of NIO's: of a request or of a response.
public protocol HTTPMessageHead {
    /// The header fields.
    var headers: HTTPHeaders { get set }
    /// Method and target of a request. nil for a response.
    var requestLine: (method: String, target: String)? { get }
}

extension HTTPRequestHead: HTTPMessageHead {
    /// Method and target.
    public var requestLine: (method: String, target: String)? { (method.rawValue, uri) }
}

extension HTTPResponseHead: HTTPMessageHead {
    /// nil: this is a response.
    public var requestLine: (method: String, target: String)? { nil }
}

extension HTTPPart: HTTPMessagePart where HeadT: HTTPMessageHead {
    /// Whether this part begins a message.
    public var isHead: Bool { if case .head = self { true } else { false } }
    /// Method and path of a request's head, without the query. nil for any other part.
    public var requestLabel: String? {
        guard case .head(let head) = self, let line = head.requestLine else { return nil }
        return Self.label(line.method, line.target)
    }
    /// Whether this part ends a message.
    public var isEnd: Bool { if case .end = self { true } else { false } }

    /// The same part. A head gets `Connection: close`.
    public func announcingClose() -> Self {
        guard case .head(var head) = self else { return self }
        head.headers.replaceOrAdd(name: "connection", value: "close")
        return .head(head)
    }
}

extension HTTPPart: HTTPAnswerPart where HeadT == HTTPResponseHead {
    /// 503 with `Connection: close`, and with `Retry-After` if there is a time.
    public static func refusal(retryAfter seconds: Int64?) -> [Self] {
        var headers = HTTPHeaders([("content-length", "0"), ("connection", "close")])
        if let seconds { headers.add(name: "retry-after", value: "\(seconds)") }
        return [.head(HTTPResponseHead(version: .http1_1, status: .serviceUnavailable, headers: headers)), .end(nil)]
    }
}

extension HTTPResponsePart: HTTPAnswerPart {
    /// 503 with `Connection: close`, and with `Retry-After` if there is a time.
    public static func refusal(retryAfter seconds: Int64?) -> [Self] {
        var fields = HTTPFields()
        fields[.contentLength] = "0"
        fields[.connection] = "close"
        if let seconds { fields[.retryAfter] = "\(seconds)" }
        return [.head(HTTPResponse(status: .serviceUnavailable, headerFields: fields)), .end(nil)]
    }
}

extension HTTPRequestPart: HTTPMessagePart {
    /// Whether this part begins a message.
    public var isHead: Bool { if case .head = self { true } else { false } }
    /// Method and path of a request's head, without the query. nil for any other part.
    public var requestLabel: String? {
        guard case .head(let head) = self else { return nil }
        return Self.label(head.method.rawValue, head.path ?? "")
    }
    /// Whether this part ends a message.
    public var isEnd: Bool { if case .end = self { true } else { false } }

    /// The same part. A head gets `Connection: close`.
    public func announcingClose() -> Self {
        guard case .head(var head) = self else { return self }
        head.headerFields[.connection] = "close"
        return .head(head)
    }
}

extension HTTPResponsePart: HTTPMessagePart {
    /// Whether this part begins a message.
    public var isHead: Bool { if case .head = self { true } else { false } }
    /// Whether this part ends a message.
    public var isEnd: Bool { if case .end = self { true } else { false } }

    /// The same part. A head gets `Connection: close`.
    public func announcingClose() -> Self {
        guard case .head(var head) = self else { return self }
        head.headerFields[.connection] = "close"
        return .head(head)
    }
}
