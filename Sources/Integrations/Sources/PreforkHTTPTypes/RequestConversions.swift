// Requests of swift-http-types.

import HTTPTypes
import PreforkHTTP

extension HTTPTypes.HTTPRequest.Method {
    init(_ method: PreforkHTTP.HTTPMethod) {
        switch method {
        case .get: self = .get
        case .post: self = .post
        // The server has read a token. It answers CONNECT by itself, so no handler takes it for that.
        default: self = Self(method.name) ?? .connect
        }
    }
}

extension HTTPTypes.HTTPRequest {
    /// The head of a request that PreforkHTTP has read.
    ///
    /// Scheme `http`, the authority of the target or else of the `Host` field, the path with the query as they were
    /// sent, and the fields without `Host`. Of an absolute target the path begins behind the authority.
    ///
    /// - Parameter request: its body stays where it is.
    public init(_ request: PreforkHTTP.HTTPRequest) {
        let target = request.target
        let path: String
        if target.utf8.first == UInt8(ascii: "/") || target == "*" {
            path = target
        } else {
            path = request.query.map { "\(request.path)?\($0)" } ?? request.path
        }
        self.init(
            method: Method(request.method), scheme: "http", authority: request.authority, path: path,
            headerFields: HTTPTypes.HTTPFields(request.fields, hasHost: false))
    }
}
