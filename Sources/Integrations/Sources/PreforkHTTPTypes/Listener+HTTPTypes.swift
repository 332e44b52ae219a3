// Serving handlers that speak swift-http-types.

import HTTPTypes
import Prefork
import PreforkHTTP

extension Listener {
    /// As `serveHTTP`, with heads in the types of swift-http-types.
    ///
    /// ```swift
    /// try await listener.serveHTTPTypes { head, request in
    ///     let bytes = try await request.body.collect(limit: 1 << 20)
    ///     return (HTTPResponse(status: .ok), .bytes(bytes))
    /// }
    /// ```
    ///
    /// - Parameters:
    ///   - limit: how many connections may be open at a time, above zero.
    ///   - options: limits and deadlines.
    ///   - report: called on the loop for each event. By default a line on standard error.
    ///   - handler: answers one request by a head and a body. It gets the request's head and the request itself, for
    ///     its body, its trailers and the peer.
    /// - Throws: as `serveHTTP`.
    public func serveHTTPTypes(
        limit: Int = 10_000, options: HTTPServerOptions = HTTPServerOptions(),
        report: @escaping @Sendable (ServingEvent) -> Void = { reportToStandardError($0) },
        _ handler:
            @escaping @Sendable (HTTPTypes.HTTPRequest, PreforkHTTP.HTTPRequest) async throws -> (
                HTTPTypes.HTTPResponse, PreforkHTTP.HTTPResponse.Body
            )
    ) async throws {
        try await serveHTTP(limit: limit, options: options, report: report) { request in
            let (response, body) = try await handler(HTTPTypes.HTTPRequest(request), request)
            return try PreforkHTTP.HTTPResponse(response, body: body)
        }
    }
}
