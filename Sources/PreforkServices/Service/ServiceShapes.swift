// What the compiler refuses in a service: declarations that the defaults of the protocols would otherwise hide.
//
// A requirement with a default accepts a class whose declaration has the right name and another type: the class
// compiles, and its declaration is never used. So each such requirement is stated a second time with an associated
// type, which the compiler takes from the class's declaration. A `_check` that only accepts the right type then fails
// to compile with the message of its unavailable form.

/// The type of members that a service does not declare.
public struct _NotDeclared: Sendable {}

/// The members of `AsyncService` with whatever type a class gives them. Not for programs.
public protocol _AsyncServiceShape: AnyObject {
    associatedtype _Started = Void
    associatedtype _Stopped = Void
    associatedtype _Policy = ServicePolicy
    associatedtype _Timeout = Duration

    func start() async throws -> _Started
    func stop() async throws -> _Stopped
    var policy: _Policy { get }
    var gracefulShutdownTimeout: _Timeout { get }

    func _checkStart()
    func _checkStop()
    func _checkPolicy()
    func _checkTimeout()
}

extension _AsyncServiceShape where _Started == Void { public func _checkStart() {} }
extension _AsyncServiceShape where _Stopped == Void { public func _checkStop() {} }
extension _AsyncServiceShape where _Policy == ServicePolicy { public func _checkPolicy() {} }
extension _AsyncServiceShape where _Timeout == Duration { public func _checkTimeout() {} }

extension _AsyncServiceShape {
    @available(*, unavailable, message: "start() returns nothing")
    public func _checkStart() {}

    @available(*, unavailable, message: "stop() returns nothing")
    public func _checkStop() {}

    @available(*, unavailable, message: "policy is a ServicePolicy")
    public func _checkPolicy() {}

    @available(*, unavailable, message: "gracefulShutdownTimeout is a Duration, such as .seconds(60)")
    public func _checkTimeout() {}
}

// What `dependencies` may be.

extension AsyncService where Dependencies == [Never], Self == _FinalSelf {
    public func _dependencyGroups() -> [[any AsyncService]] { [] }
}

extension AsyncService where Dependencies == [DependencyGroup] {
    public func _dependencyGroups() -> [[any AsyncService]] { dependencies.map(\.members) }
}

extension AsyncService where Dependencies == [any AsyncService] {
    public func _dependencyGroups() -> [[any AsyncService]] { dependencies.map { [$0] } }
}

extension AsyncService where Dependencies == [[any AsyncService]] {
    public func _dependencyGroups() -> [[any AsyncService]] { dependencies }
}

extension AsyncService where Dependencies: Collection, Dependencies.Element: AsyncService {
    public func _dependencyGroups() -> [[any AsyncService]] { dependencies.map { [$0] } }
}

extension AsyncService
where Dependencies: Collection, Dependencies.Element: Collection, Dependencies.Element.Element: AsyncService {
    public func _dependencyGroups() -> [[any AsyncService]] { dependencies.map { Array($0) } }
}

// What a class that others may inherit from must write itself: the table of a conformance names the default for good,
// and a subclass's own member would never be called.
extension AsyncService {
    @available(
        *, unavailable,
        message: "declare dependencies, [any AsyncService] or [[any AsyncService]], or make the class final"
    )
    public func _dependencyGroups() -> [[any AsyncService]] { [] }

    @available(*, unavailable, message: "make the class final, or declare start() for its subclasses to override")
    public func start() async throws {}

    @available(*, unavailable, message: "make the class final, or declare stop() for its subclasses to override")
    public func stop() async throws {}

    @available(*, unavailable, message: "make the class final, or declare policy for its subclasses to override")
    public var policy: ServicePolicy { ServicePolicy() }

    @available(
        *, unavailable,
        message: "make the class final, or declare gracefulShutdownTimeout for its subclasses to override"
    )
    public var gracefulShutdownTimeout: Duration { .seconds(10) }
}

// The same for services without tasks. Here the type tells whether a member is declared at all: an `async` start cannot
// be called.

extension BlockingService where _Start == Void { public func _checkStart() {} }
extension BlockingService where _Stop == Void { public func _checkStop() {} }

extension BlockingService where _Start == _NotDeclared, _AsyncStart == _NotDeclared, Self == _FinalSelf {
    public func _checkStart() {}
}

extension BlockingService where _Stop == _NotDeclared, _AsyncStop == _NotDeclared, Self == _FinalSelf {
    public func _checkStop() {}
}

extension BlockingService where _Name == Never?, Self == _FinalSelf { public var _givenName: String? { nil } }
extension BlockingService where _Name == String { public var _givenName: String? { serviceName } }
extension BlockingService where _Name == String? { public var _givenName: String? { serviceName } }

extension BlockingService where Dependencies == [Never], Self == _FinalSelf {
    public func _dependencyList() -> [any BlockingService] { [] }
}

extension BlockingService where Dependencies == [any BlockingService] {
    public func _dependencyList() -> [any BlockingService] { dependencies }
}

extension BlockingService where Dependencies == [[any BlockingService]] {
    public func _dependencyList() -> [any BlockingService] { Array(dependencies.joined()) }
}

extension BlockingService where Dependencies: Collection, Dependencies.Element: BlockingService {
    public func _dependencyList() -> [any BlockingService] { Array(dependencies) }
}

extension BlockingService
where Dependencies: Collection, Dependencies.Element: Collection, Dependencies.Element.Element: BlockingService {
    public func _dependencyList() -> [any BlockingService] { Array(dependencies.joined()) }
}

extension BlockingService {
    @available(
        *, unavailable, message: "start() must be synchronous and return nothing. A non-final class must declare it"
    )
    public func _checkStart() {}

    @available(
        *, unavailable, message: "stop() must be synchronous and return nothing. A non-final class must declare it"
    )
    public func _checkStop() {}

    @available(*, unavailable, message: "serviceName must be a String. A non-final class must declare it")
    public var _givenName: String? { nil }

    @available(*, unavailable, message: "declare dependencies, [any BlockingService], or make the class final")
    public func _dependencyList() -> [any BlockingService] { [] }
}
