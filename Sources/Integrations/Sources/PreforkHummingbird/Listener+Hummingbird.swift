// Hummingbird's routers on the worker's own loop.

import Hummingbird
import Logging
import Prefork
import PreforkHTTP

extension Listener {
    /// Serves a Hummingbird router with PreforkHTTP, on the worker's loop: no thread and no pipeline of SwiftNIO.
    ///
    /// ```swift
    /// ForkRuntime().runAndExit(on: "0.0.0.0:8080") { worker, listener in
    ///     let router = Router()
    ///     router.get("hello") { _, _ in "Hello" }
    ///     try await listener.serve(router, in: worker)
    /// }
    /// ```
    ///
    /// Middleware, contexts, encoders, bodies and errors are Hummingbird's own. Reading, framing, limits, deadlines and
    /// the end of a worker are PreforkHTTP's: see `serveHTTP`. HTTP/2, TLS and WebSocket upgrades of Hummingbird need
    /// its own server: see `InheritedServer`.
    ///
    /// A context that is made from a channel gets one with the addresses of the connection, an event loop for futures
    /// and timers, and no pipeline: it cannot read, write or close. Its `closeFuture` is done when the request is over
    /// and the channel released.
    ///
    /// `RequestBody.consumeWithCancellationOnInboundClose` and `consumeWithInboundCloseHandler` accept the bodies of
    /// Hummingbird's own server only, and end the process with any other. Here a write to a client that is gone throws.
    ///
    /// - Parameters:
    ///   - router: a `Router`, a `RouterBuilder`, or whatever else builds a responder.
    ///   - worker: the worker that serves.
    ///   - serverName: the value of `Server` in each response. If nil, there is no such field.
    ///   - logger: each request gets a copy with its `hb.request.id`. If nil, one as `Application` makes it.
    ///   - limit: how many connections may be open at a time, above zero.
    ///   - options: limits and deadlines.
    ///   - report: called on the loop for each event. By default a line on standard error.
    /// - Throws: as `serveHTTP`. `HTTPError` (`.badField`) for a server name that no field can have.
    @inlinable
    public func serve<Builder: HTTPResponderBuilder>(
        _ router: Builder, in worker: Worker, serverName: String? = nil, logger: Logger? = nil, limit: Int = 10_000,
        options: HTTPServerOptions = HTTPServerOptions(),
        report: @escaping @Sendable (ServingEvent) -> Void = { reportToStandardError($0) }
    ) async throws where Builder.Responder.Context: InitializableFromSource<ApplicationRequestContextSource> {
        try await serve(
            responder: router.buildResponder(), in: worker, serverName: serverName, logger: logger, limit: limit,
            options: options, report: report)
    }

    /// As `serve(_:in:)`, for a responder.
    ///
    /// - Parameters:
    ///   - responder: answers each request.
    ///   - worker: the worker that serves.
    ///   - serverName: the value of `Server` in each response. If nil, there is no such field.
    ///   - logger: each request gets a copy with its `hb.request.id`. If nil, one as `Application` makes it.
    ///   - limit: how many connections may be open at a time, above zero.
    ///   - options: limits and deadlines.
    ///   - report: called on the loop for each event. By default a line on standard error.
    /// - Throws: as `serve(_:in:)`.
    @inlinable
    public func serve<Responder: HTTPResponder>(
        responder: Responder, in worker: Worker, serverName: String? = nil, logger: Logger? = nil, limit: Int = 10_000,
        options: HTTPServerOptions = HTTPServerOptions(),
        report: @escaping @Sendable (ServingEvent) -> Void = { reportToStandardError($0) }
    ) async throws where Responder.Context: InitializableFromSource<ApplicationRequestContextSource> {
        let handler = try ResponderHandler(
            responder, serverName: serverName, logger: logger ?? .hummingbird(named: serverName), listener: address)
        // The worker's loop, whatever thread the caller is on.
        guard worker.loop.isCurrent else {
            return try await withTaskExecutorPreference(worker.loop) {
                try await serveHTTP(limit: limit, options: options, report: report, handler.respond)
            }
        }
        try await serveHTTP(limit: limit, options: options, report: report, handler.respond)
    }
}

extension Logger {
    /// As `Application` of Hummingbird makes it: the level of `LOG_LEVEL`.
    @usableFromInline
    static func hummingbird(named name: String?) -> Logger {
        var logger = Logger(label: name ?? "Hummingbird")
        let level = Environment().get("LOG_LEVEL").flatMap { Logger.Level(rawValue: $0) }
        if let level { logger.logLevel = level }
        return logger
    }
}
