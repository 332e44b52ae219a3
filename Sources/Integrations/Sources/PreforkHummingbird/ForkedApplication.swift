// Hummingbird's `Application`, on forked workers.

import Glibc
import Hummingbird
import Logging
import NIOCore
import Prefork
import PreforkHTTP
import PreforkLifecycle
import ServiceLifecycle

/// An `Application` of Hummingbird whose `runService()` forks workers. Each of them serves the same router on its own
/// loop, with PreforkHTTP.
///
/// ```swift
/// let router = Router()
/// router.get("hello") { _, _ in "Hello" }
/// let app = ForkedApplication(router: router, configuration: .init(address: .hostname("0.0.0.0", port: 8080)))
/// try await app.runService()
/// ```
///
/// What is made before `runService()` is made once and inherited by all workers. Services run in each worker, in the
/// order of `Application`: they start before the server, the processes of `beforeServerStarts` run, the server starts,
/// and when the worker is asked to stop, the server ends first and the services end in reverse order. A service, or
/// what it was made of, must not have started a thread before the fork: connections, clients and event loop groups
/// belong into its `run()`.
///
/// Signals, settings (`PREFORK_WORKERS` and so on), reloads, upgrades and logs are those of `ForkRuntime`. There is no
/// parameter `server:`. Programs with TLS, HTTP/2 or WebSocket of Hummingbird use `InheritedServer`.
public struct ForkedApplication<Responder: HTTPResponder>: ApplicationProtocol
where Responder.Context: InitializableFromSource<ApplicationRequestContextSource> {
    /// Answers the requests.
    public let responder: Responder
    /// Address, backlog and server name are used. A delegate of available connections is refused: see `limit`.
    public var configuration: ApplicationConfiguration
    /// Each request gets a copy with its `hb.request.id`.
    public var logger: Logger
    /// They run in each worker.
    public var services: [any Service]
    /// They run in each worker, beside its services and before its server.
    public private(set) var processesRunBeforeServerStart: [@Sendable () async throws -> Void] = []
    /// The workers. Its readiness has no effect: a worker is ready when its server starts.
    public var runtime = ForkRuntime()
    /// Limits and deadlines of HTTP.
    public var options = HTTPServerOptions()
    /// How many connections a worker has open at a time. More wait in the backlog.
    public var limit = 10_000
    private let serverRunning: @Sendable (any NIOCore.Channel) async -> Void

    /// - Parameters:
    ///   - responder: answers the requests.
    ///   - configuration: where to listen, and the server's name.
    ///   - services: run in each worker.
    ///   - onServerRunning: called in each worker when its server starts, with a channel that knows the address.
    ///   - logger: if nil, one as `Application` makes it.
    public init(
        responder: Responder, configuration: ApplicationConfiguration = ApplicationConfiguration(),
        services: [any Service] = [],
        onServerRunning: @escaping @Sendable (any NIOCore.Channel) async -> Void = { _ in }, logger: Logger? = nil
    ) {
        self.responder = responder
        self.configuration = configuration
        self.services = services
        serverRunning = onServerRunning
        self.logger = logger ?? .hummingbird(named: configuration.serverName)
    }

    /// - Parameters:
    ///   - router: builds the responder.
    ///   - configuration: where to listen, and the server's name.
    ///   - services: run in each worker.
    ///   - onServerRunning: called in each worker when its server starts, with a channel that knows the address.
    ///   - logger: if nil, one as `Application` makes it.
    public init<Builder: HTTPResponderBuilder>(
        router: Builder, configuration: ApplicationConfiguration = ApplicationConfiguration(),
        services: [any Service] = [],
        onServerRunning: @escaping @Sendable (any NIOCore.Channel) async -> Void = { _ in }, logger: Logger? = nil
    ) where Responder == Builder.Responder {
        self.init(
            responder: router.buildResponder(), configuration: configuration, services: services,
            onServerRunning: onServerRunning, logger: logger)
    }

    /// Adds services that run in each worker.
    ///
    /// - Parameter services: in the order of their start.
    public mutating func addServices(_ services: any Service...) {
        self.services.append(contentsOf: services)
    }

    /// Adds services that run in each worker.
    ///
    /// - Parameter services: in the order of their start.
    public mutating func addServices(_ services: some Sequence<any Service>) {
        self.services.append(contentsOf: services)
    }

    /// Adds what each worker does before its server starts, while its services run. With several workers it happens
    /// several times, and at the same time.
    ///
    /// - Parameter process: if it throws, the worker ends with exit code 1.
    public mutating func beforeServerStarts(perform process: @escaping @Sendable () async throws -> Void) {
        processesRunBeforeServerStart.append(process)
    }

    /// Calls what `init` was given.
    ///
    /// - Parameter channel: of the server.
    @Sendable
    public func onServerRunning(_ channel: any NIOCore.Channel) async {
        await serverRunning(channel)
    }

    /// Binds the address, forks the workers, supervises them, and returns when the last of them has ended normally. If
    /// the pool ends otherwise, the process ends with the exit code of `runAndExit`.
    ///
    /// Call it where nothing has started a thread: in top-level code, or in a `main` that is `@MainActor`, before
    /// anything in it suspends. It does not leave the caller's thread.
    ///
    /// - Throws: `ForkedApplicationError`, `SystemError` if the address cannot be bound, `SupervisorError` if no worker
    ///   could be made for another reason than threads.
    public nonisolated(nonsending) func runService() async throws {
        let listener = try bind()
        var runtime = self.runtime
        runtime.readiness = .manual
        let summary: SupervisorSummary
        do throws(SupervisorError) {
            summary = try runtime.run { worker in try await serve(on: listener, in: worker) }
        } catch {
            if case .multithreaded(let threads) = error.code { throw ForkedApplicationError.hasThreads(threads) }
            throw error
        }
        if summary.outcome.exitCode != 0 { exit(summary.outcome.exitCode) }
    }

    /// Refuses to run as a service: a group has threads already, and signals of its own.
    ///
    /// `runService()` of `some ApplicationProtocol` ends up here. Name the type, as in `-> ForkedApplication<...>`.
    ///
    /// - Throws: `ForkedApplicationError.isNoService`, always.
    public func run() async throws {
        throw ForkedApplicationError.isNoService
    }

    private func bind() throws -> Listener {
        if configuration.availableConnectionsDelegate != nil { throw ForkedApplicationError.hasConnectionsDelegate }
        guard let endpoint = configuration.address.endpoint else {
            throw ForkedApplicationError.unknownAddress("\(configuration.address)")
        }
        return try Listener(endpoint, backlog: Int32(clamping: configuration.backlog))
    }
}
