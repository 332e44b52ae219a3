// What closing a connection needs to know of an HTTP message, in NIO's types and in those of swift-http-types.

import HTTPTypes
import NIOHTTP1
import NIOHTTPTypes

/// A part of an HTTP/1 message.
public protocol HTTPMessagePart {
    var isHead: Bool { get }
    var isEnd: Bool { get }
    /// The same part; a head with `Connection: close`.
    func announcingClose() -> Self
}

/// A head that has headers.
public protocol HTTPMessageHead {
    var headers: HTTPHeaders { get set }
}

extension HTTPRequestHead: HTTPMessageHead {}
extension HTTPResponseHead: HTTPMessageHead {}

extension HTTPPart: HTTPMessagePart where HeadT: HTTPMessageHead {
    public var isHead: Bool { if case .head = self { true } else { false } }
    public var isEnd: Bool { if case .end = self { true } else { false } }

    public func announcingClose() -> Self {
        guard case .head(var head) = self else { return self }
        head.headers.replaceOrAdd(name: "connection", value: "close")
        return .head(head)
    }
}

extension HTTPRequestPart: HTTPMessagePart {
    public var isHead: Bool { if case .head = self { true } else { false } }
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
