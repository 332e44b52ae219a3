// A service for code without tasks.

/// A part of a program that is started and stopped, together with what it needs, without tasks.
///
/// The rules are those that `AsyncService` has. What it needs is up before it starts and is stopped after it, once,
/// however many share it. If a start fails, all started services are stopped. Every stop is called, whatever the others
/// throw. A class that others inherit from declares all members. There are no background tasks, no time limits and
/// nothing runs at once. Nothing here starts a thread, so it works in a supervisor as well as in a worker. Threads that
/// share a service must not start or stop it at the same time: the second one gets an error of kind `cycle`, because no
/// call here waits. After facet's `BlockingServiceMixin`.
public protocol BlockingService: _ServiceMisplacements {
    /// `[any BlockingService]` or `[[any BlockingService]]`, or arrays of one type of service.
    associatedtype Dependencies = [Never]
    associatedtype _Name = Never?
    associatedtype _Start = _NotDeclared
    associatedtype _Stop = _NotDeclared
    associatedtype _AsyncStart = _NotDeclared
    associatedtype _AsyncStop = _NotDeclared
    associatedtype _FinalSelf: AnyObject = Self

    /// A `String` or `String?`: a name that is unique in the tree. If nil, the default, it is the name of the type and
    /// a number.
    var serviceName: _Name { get }

    /// What must be up before this starts, in this order. Inner arrays change nothing. Read once for each start. Empty
    /// by default.
    var dependencies: Dependencies { get }

    /// Brings the service up: `func start() throws`. When it throws, `stop` is not called.
    @discardableResult func start() throws -> _Start

    /// Brings the service down: `func stop() throws`. Called exactly once for each `start` that returned.
    @discardableResult func stop() throws -> _Stop

    /// Never called. By this requirement, the compiler finds and refuses an `async` start of a class.
    @discardableResult func start() async throws -> _AsyncStart
    /// Never called. By this requirement, the compiler finds and refuses an `async` stop of a class.
    @discardableResult func stop() async throws -> _AsyncStop

    var _givenName: String? { get }
    func _dependencyList() -> [any BlockingService]
    func _checkStart()
    func _checkStop()
}

extension BlockingService where Dependencies == [Never] {
    /// The default for a service that needs no other: empty.
    public var dependencies: [Never] { [] }
}

extension BlockingService where _Name == Never? {
    /// The default: the service is named by its type and a number.
    public var serviceName: Never? { nil }
}

extension BlockingService where _Start == _NotDeclared {
    /// The default for a service without a start: does nothing.
    @discardableResult public func start() throws -> _NotDeclared { _NotDeclared() }
}

extension BlockingService where _Stop == _NotDeclared {
    /// The default for a service without a stop: does nothing.
    @discardableResult public func stop() throws -> _NotDeclared { _NotDeclared() }
}

extension BlockingService {
    /// Whether it has started and its stop has not begun.
    public var running: Bool { BlockingHolds.isRunning(ObjectIdentifier(self)) }

    /// Starts the tree, calls `body`, and stops the tree, however `body` ends.
    ///
    /// In a program without workers, and in a managed process without an event loop, SIGTERM and SIGINT do not end the
    /// process meanwhile. They end `wait()` and waits for messages in the body, and interrupt system calls in which it
    /// waits otherwise (EINTR). The body must return for the tree to be stopped. A second signal ends the process at
    /// once. A handler of the program's own stays in force.
    ///
    /// - Throws: what `body` throws. `ServiceError` if a start or a stop failed, with all other errors in `suppressed`.
    ///   An error of kind `cycle` or `duplicateName` is thrown before any service is started.
    public func withRunning<Result>(_ body: (Self) throws -> Result) throws -> Result {
        let tree = try BlockingRun(self)
        let stops = ServiceHost.blockingStops
        stops?.begin()
        defer { stops?.end() }
        try tree.start()
        let result: Swift.Result<Result, any Error>
        do { result = .success(try body(self)) } catch { result = .failure(error) }
        return try tree.stop().joined(with: result, service: tree.graph.path(0))
    }

    /// Blocks the calling thread until this process is asked to stop: in a program without workers by SIGTERM or
    /// SIGINT, in a worker or a managed process by the supervisor. For the body of `withRunning`.
    ///
    /// Must not be called on an event loop's thread, which then could not receive a stop. It traps there.
    ///
    /// - Throws: `ServiceError` of kind `notRunning` if the service does not run, and in a program without Prefork,
    ///   where nothing reports a stop.
    @discardableResult
    public func wait() throws(ServiceError) -> StopReason {
        guard running, let stops = ServiceHost.blockingStops else {
            throw ServiceError(.notRunning, service: _givenName ?? "\(type(of: self))")
        }
        return stops.wait()
    }
}

extension GraphTracing<any BlockingService>.Reading {
    static var blocking: Self {
        Self(
            identity: { ObjectIdentifier($0) }, groups: { $0._dependencyList().map { [$0] } }, name: { $0._givenName },
            type: { Swift.type(of: $0) })
    }
}
