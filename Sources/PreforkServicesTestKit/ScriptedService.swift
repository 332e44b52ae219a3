// Services that do what a test says.

public import PreforkServices

/// A service that records its start and stop, fails where the injector makes it fail, and runs its script.
///
/// It records `start NAME` when its start is over and `stop NAME` when its stop begins. `begin start NAME` and
/// `end stop NAME` are recorded, too, when `isVerbose`.
public final class ScriptedService: AsyncService {
    /// What a start or stop does, given the service. What it throws fails the start or stop.
    public typealias Script = @Sendable (ScriptedService) async throws -> Void

    public let lifecycle: Lifecycle
    /// The service's name, in its tree and in the recorded steps.
    public let name: String
    public let dependencies: [DependencyGroup]
    public let policy: ServicePolicy
    private let recorder: OrderRecorder
    private let injector: FailureInjector
    private let isVerbose: Bool
    private let starting: Script
    private let stopping: Script

    /// A service for one test.
    ///
    /// - Parameters:
    ///   - name: unique in the tree.
    ///   - dependencies: what must be up before it starts.
    ///   - policy: its timeouts and its answer to failures.
    ///   - recorder: receives its steps. Share one among the services of a test to compare their order.
    ///   - injector: asked at the points `start NAME` and `stop NAME`.
    ///   - isVerbose: whether it also records `begin start NAME` and `end stop NAME`.
    ///   - start: runs in its start, after the injector.
    ///   - stop: runs in its stop, before the injector.
    public init(
        _ name: String, needs dependencies: [DependencyGroup] = [], policy: ServicePolicy = ServicePolicy(),
        recorder: OrderRecorder = OrderRecorder(), injector: FailureInjector = FailureInjector(),
        isVerbose: Bool = false, start: @escaping Script = { _ in }, stop: @escaping Script = { _ in }
    ) {
        lifecycle = Lifecycle(name)
        self.name = name
        self.dependencies = dependencies
        self.policy = policy
        self.recorder = recorder
        self.injector = injector
        self.isVerbose = isVerbose
        starting = start
        stopping = stop
    }

    public func start() async throws {
        if isVerbose { recorder.record("begin start \(name)") }
        try injector.pass("start \(name)")
        try await starting(self)
        recorder.record("start \(name)")
    }

    public func stop() async throws {
        recorder.record("stop \(name)")
        defer { if isVerbose { recorder.record("end stop \(name)") } }
        try await stopping(self)
        try injector.pass("stop \(name)")
    }
}

/// `ScriptedService` without tasks.
public final class ScriptedBlockingService: BlockingService {
    public let serviceName: String?
    public let dependencies: [any BlockingService]
    private let recorder: OrderRecorder
    private let injector: FailureInjector
    private let name: String

    /// A service for one test.
    ///
    /// - Parameters:
    ///   - name: unique in the tree.
    ///   - dependencies: what must be up before it starts, in this order.
    ///   - recorder: receives `start NAME` and `stop NAME`.
    ///   - injector: asked at the points `start NAME` and `stop NAME`.
    public init(
        _ name: String, needs dependencies: [any BlockingService] = [], recorder: OrderRecorder = OrderRecorder(),
        injector: FailureInjector = FailureInjector()
    ) {
        self.name = name
        serviceName = name
        self.dependencies = dependencies
        self.recorder = recorder
        self.injector = injector
    }

    public func start() throws {
        try injector.pass("start \(name)")
        recorder.record("start \(name)")
    }

    public func stop() throws {
        recorder.record("stop \(name)")
        try injector.pass("stop \(name)")
    }
}
