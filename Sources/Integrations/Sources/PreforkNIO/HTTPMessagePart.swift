// What closing a connection needs to know of an HTTP message, in NIO's types and in those of swift-http-types.

import HTTPTypes
import NIOHTTP1
import NIOHTTPTypes

/// A part of an HTTP/1 message.
public protocol HTTPMessagePart {
    var isHead: Bool { get }
    var isEnd: Bool { get }
    /// Of a request's head: method and path, for reports, without the query. nil: another part.
    var requestLabel: String? { get }
    /// The same part. A head gets `Connection: close`.
    func announcingClose() -> Self
}

/// A part of an answer.
public protocol HTTPAnswerPart: HTTPMessagePart {
    /// 503 for a request that is in quarantine, with the connection's end: what follows on it is not looked at.
    ///
    /// - Parameter seconds: when another try makes sense. If nil, when an operator says so.
    static func refusal(retryAfter seconds: Int64?) -> [Self]
}

extension HTTPMessagePart {
    public var requestLabel: String? { nil }

    static func label(_ method: String, _ target: some StringProtocol) -> String {
        "\(method) \(target.prefix { $0 != "?" })"
    }
}

/// A head that has headers.
public protocol HTTPMessageHead {
    var headers: HTTPHeaders { get set }
    /// nil: this is a response.
    var requestLine: (method: String, target: String)? { get }
}

extension HTTPRequestHead: HTTPMessageHead {
    public var requestLine: (method: String, target: String)? { (method.rawValue, uri) }
}

extension HTTPResponseHead: HTTPMessageHead {
    public var requestLine: (method: String, target: String)? { nil }
}

extension HTTPPart: HTTPMessagePart where HeadT: HTTPMessageHead {
    public var isHead: Bool { if case .head = self { true } else { false } }
    public var requestLabel: String? {
        guard case .head(let head) = self, let line = head.requestLine else { return nil }
        return Self.label(line.method, line.target)
    }
    public var isEnd: Bool { if case .end = self { true } else { false } }

    public func announcingClose() -> Self {
        guard case .head(var head) = self else { return self }
        head.headers.replaceOrAdd(name: "connection", value: "close")
        return .head(head)
    }
}

extension HTTPPart: HTTPAnswerPart where HeadT == HTTPResponseHead {
    public static func refusal(retryAfter seconds: Int64?) -> [Self] {
        var headers = HTTPHeaders([("content-length", "0"), ("connection", "close")])
        if let seconds { headers.add(name: "retry-after", value: "\(seconds)") }
        return [.head(HTTPResponseHead(version: .http1_1, status: .serviceUnavailable, headers: headers)), .end(nil)]
    }
}

extension HTTPResponsePart: HTTPAnswerPart {
    public static func refusal(retryAfter seconds: Int64?) -> [Self] {
        var fields = HTTPFields()
        fields[.contentLength] = "0"
        fields[.connection] = "close"
        if let seconds { fields[.retryAfter] = "\(seconds)" }
        return [.head(HTTPResponse(status: .serviceUnavailable, headerFields: fields)), .end(nil)]
    }
}

extension HTTPRequestPart: HTTPMessagePart {
    public var isHead: Bool { if case .head = self { true } else { false } }
    public var requestLabel: String? {
        guard case .head(let head) = self else { return nil }
        return Self.label(head.method.rawValue, head.path ?? "")
    }
    public var isEnd: Bool { if case .end = self { true } else { false } }

    public func announcingClose() -> Self {
        guard case .head(var head) = self else { return self }
        head.headerFields[.connection] = "close"
        return .head(head)
    }
}

extension HTTPResponsePart: HTTPMessagePart {
    public var isHead: Bool { if case .head = self { true } else { false } }
    public var isEnd: Bool { if case .end = self { true } else { false } }

    public func announcingClose() -> Self {
        guard case .head(var head) = self else { return self }
        head.headerFields[.connection] = "close"
        return .head(head)
    }
}
