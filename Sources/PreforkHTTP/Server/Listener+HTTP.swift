// Serving HTTP on a listener or a connection.

public import PreforkEventLoop
public import PreforkSystem

extension Listener {
    /// Serves HTTP/1.1 and HTTP/1.0 on this loop: calls `handler` for each request and sends what it returns.
    ///
    /// ```swift
    /// try await listener.serveHTTP { request in
    ///     switch (request.method, request.path) {
    ///     case (.get, "/"): .text("Hello World")
    ///     case (.post, "/echo"): .stream(request.body)
    ///     default: .notFound
    ///     }
    /// }
    /// ```
    ///
    /// It accepts, drains and ends as `serve` does. In a worker that has a successor, connections between requests move to
    /// that one, and their clients do not notice. Otherwise responses have `Connection: close` while it drains, and idle
    /// connections are closed. In a worker each request is marked by its method and path, without the query, for reports
    /// of crashes and hangs, and counted. One in quarantine gets 503 with `Retry-After`.
    ///
    /// An error of `handler` becomes a response of status 500 without its text, and a `.requestFailed` for `report`. Malformed
    /// requests, and those above the limits of `options`, get their status and never reach the handler. Requests of one
    /// connection are handled one after the other.
    ///
    /// - Parameters:
    ///   - limit: how many connections may be open at a time, above zero. More wait in the backlog.
    ///   - options: limits and deadlines.
    ///   - report: called on the loop for each event. By default a line on standard error.
    ///   - handler: answers one request.
    /// - Throws: as `serve`. EINVAL for options that make no sense, by the option's name.
    public func serveHTTP(
        limit: Int = 10_000, options: HTTPServerOptions = HTTPServerOptions(),
        report: @escaping @Sendable (ServingEvent) -> Void = { reportToStandardError($0) },
        _ handler: @escaping @Sendable (HTTPRequest) async throws -> HTTPResponse
    ) async throws {
        let loop = try EventLoop.chosen()
        guard loop.isCurrent else {
            return try await loop.run { _ in
                try await self.serveHTTP(limit: limit, options: options, report: report, handler)
            }
        }
        let server = try HTTPServer(options, on: loop, mayMove: true, report: report, handler)
        loop.onServing?(self, true)
        try await serve(limit: limit, report: report, resumption: server.resumption) { connection in
            try await HTTPConnection(connection, server).serve()
        }
    }
}

extension Connection {
    /// Serves HTTP on this connection until it ends. See `Listener.serveHTTP`. It is not closed.
    ///
    /// - Parameters:
    ///   - options: limits and deadlines.
    ///   - report: called on the loop for each event. By default a line on standard error.
    ///   - handler: answers one request.
    /// - Throws: `StreamError`, `CancellationError`, and EINVAL for options that make no sense.
    public func serveHTTP(
        options: HTTPServerOptions = HTTPServerOptions(),
        report: @escaping @Sendable (ServingEvent) -> Void = { reportToStandardError($0) },
        _ handler: @escaping @Sendable (HTTPRequest) async throws -> HTTPResponse
    ) async throws {
        guard loop.isCurrent else {
            return try await loop.run { _ in
                try await self.serveHTTP(options: options, report: report, handler)
            }
        }
        let server = try HTTPServer(options, on: loop, report: report, handler)
        try await HTTPConnection(self, server).serve()
    }
}
