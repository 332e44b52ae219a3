// Hummingbird on an inherited listener.

import Hummingbird
import HummingbirdCore
import NIOCore
import NIOHTTPTypes
import NIOPosix
import Prefork
import PreforkLifecycle
import PreforkNIO
import ServiceLifecycle
import Synchronization

/// Feeds the connections of an inherited listener to a Hummingbird application, in a worker.
///
/// It is for what Hummingbird has on SwiftNIO alone: TLS, HTTP/2, WebSocket. Plain HTTP/1 costs less with
/// `Listener.serve(_:in:)`.
///
/// Hummingbird 2 binds by itself and takes no socket. So its own is a Unix socket in a new directory of mode 0700,
/// which loses its name as soon as it listens. What is accepted from the listener enters the pipeline of that server
/// channel, as if it had accepted it: set-up, limits and the graceful stop of a connection are Hummingbird's own.
///
/// ```swift
/// try runtime.run { worker in
///     let server = try InheritedServer(listener, worker)
///     let app = Application(
///         router: router, server: server.http1(), configuration: server.configuration,
///         onServerRunning: server.accept, eventLoopGroupProvider: .shared(server.group))
///     try await server.run(app)
/// }
/// ```
public final class InheritedServer: Sendable {
    /// Serves the connections: `threads` event loops of this worker.
    public let group: MultiThreadedEventLoopGroup
    private let listener: Listener
    private let worker: Worker
    private let accepting = Mutex<(any NIOCore.Channel)?>(nil)
    private let own: PrivateSocket

    /// Starts the event loops, so it must be made in the body of the worker, after the fork.
    ///
    /// - Parameters:
    ///   - listener: bound before the fork. It stays open.
    ///   - worker: the worker that serves. Its runtime needs readiness `.manual`: `accept` says that it is ready.
    ///   - threads: how many event loops serve the connections of this worker.
    /// - Throws: `IOError` if neither `TMPDIR` nor /tmp nor /dev/shm takes a new directory.
    public init(_ listener: Listener, _ worker: Worker, threads: Int = 1) throws(IOError) {
        own = try PrivateSocket()
        self.listener = listener
        self.worker = worker
        group = MultiThreadedEventLoopGroup(numberOfThreads: threads)
    }

    /// For the application: where its own socket is bound.
    public var configuration: ApplicationConfiguration {
        ApplicationConfiguration(address: .unixDomainSocket(path: own.path), backlog: 1)
    }

    /// For the application: HTTP/1 that announces the end of a connection (`AnnouncedClose`).
    ///
    /// - Parameter idleTimeout: after which Hummingbird closes a connection without a request. nil: never.
    public func http1(idleTimeout: TimeAmount? = nil) -> HTTPServerBuilder {
        .http1(
            configuration: .init(
                additionalChannelHandlers: [AnnouncedClose<HTTPRequestPart, HTTPResponsePart>(self.worker)],
                idleTimeout: idleTimeout))
    }

    /// For the application's `onServerRunning`: accepts from the listener, and says that the worker is ready.
    ///
    /// If that fails, the worker reports the error and ends with exit code 1.
    ///
    /// - Parameter server: Hummingbird's server channel, which gets the connections.
    @Sendable
    public func accept(for server: any NIOCore.Channel) async {
        // It listens: its name has no further use.
        own.remove()
        // Before the first request can be read: one that crashes this worker must not look like a worker that cannot
        // boot.
        worker.ready()
        do {
            let channel = try await ServerBootstrap(group: group)
                .serverChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(AcceptedElsewhere(server: server))
                    }
                }
                .withBoundSocket(listener.duplicate()).get()
            accepting.withLock { $0 = channel }
        } catch {
            reportToStandardError(.handlerFailed(error, peer: listener.address))
            worker.exit(code: 1)
        }
    }

    /// Runs the application until the worker is asked to stop: then no connection is accepted, requests in hand are
    /// answered, and the application's services end in order.
    ///
    /// Call it once: the event loops have ended when it returns.
    ///
    /// - Parameters:
    ///   - application: made with `group`, `configuration` and `accept` of this object.
    ///   - services: beside the application's own. They start before it and end after it.
    /// - Throws: the error of the service that failed.
    public func run(_ application: some ApplicationProtocol, services: [any Service] = []) async throws {
        // If it never listens.
        defer { own.remove() }
        let all = ServiceGroup(services: services + [application], endingWith: worker, logger: application.logger) {
            try await self.accepting.withLock { $0 }?.close().get()
        }
        try await all.run()
        try await group.shutdownGracefully()
    }
}

/// Hands accepted connections, not yet registered with an event loop, to another server channel.
private final class AcceptedElsewhere: ChannelInboundHandler {
    typealias InboundIn = any NIOCore.Channel

    private let server: any NIOCore.Channel

    init(server: any NIOCore.Channel) {
        self.server = server
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        server.pipeline.fireChannelRead(unwrapInboundIn(data))
    }
}
