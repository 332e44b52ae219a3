// What the compiler refuses in a service: requirements that are declared as static members, and properties that are
// declared as functions. The defaults of the protocols would hide them, as they hide a wrong type
// (ServiceShapes.swift).
//
// A protocol cannot have a property and a function of one name, so these requirements are in a protocol of their own.
// The functions are disfavoured: `service.dependencies` is the property.

/// Members that a service has in the wrong place. Not for programs.
public protocol _ServiceMisplacements: AnyObject {
    associatedtype _StaticStart = _NotDeclared
    associatedtype _StaticStop = _NotDeclared
    associatedtype _StaticDependencies = _NotDeclared
    associatedtype _StaticPolicy = _NotDeclared
    associatedtype _StaticTimeout = _NotDeclared
    associatedtype _StaticName = _NotDeclared
    associatedtype _CalledDependencies = _NotDeclared
    associatedtype _CalledPolicy = _NotDeclared
    associatedtype _CalledTimeout = _NotDeclared
    associatedtype _CalledName = _NotDeclared

    static func start() async throws -> _StaticStart
    static func stop() async throws -> _StaticStop
    static var dependencies: _StaticDependencies { get }
    static var policy: _StaticPolicy { get }
    static var gracefulShutdownTimeout: _StaticTimeout { get }
    static var serviceName: _StaticName { get }
    @_disfavoredOverload func dependencies() async throws -> _CalledDependencies
    @_disfavoredOverload func policy() async throws -> _CalledPolicy
    @_disfavoredOverload func gracefulShutdownTimeout() async throws -> _CalledTimeout
    @_disfavoredOverload func serviceName() async throws -> _CalledName

    func _checkStatic()
    func _checkCalled()
}

// What a class does not declare.

extension _ServiceMisplacements where _StaticStart == _NotDeclared {
    public static func start() async throws -> _NotDeclared { _NotDeclared() }
}

extension _ServiceMisplacements where _StaticStop == _NotDeclared {
    public static func stop() async throws -> _NotDeclared { _NotDeclared() }
}

extension _ServiceMisplacements where _StaticDependencies == _NotDeclared {
    public static var dependencies: _NotDeclared { _NotDeclared() }
}

extension _ServiceMisplacements where _StaticPolicy == _NotDeclared {
    public static var policy: _NotDeclared { _NotDeclared() }
}

extension _ServiceMisplacements where _StaticTimeout == _NotDeclared {
    public static var gracefulShutdownTimeout: _NotDeclared { _NotDeclared() }
}

extension _ServiceMisplacements where _StaticName == _NotDeclared {
    public static var serviceName: _NotDeclared { _NotDeclared() }
}

extension _ServiceMisplacements where _CalledDependencies == _NotDeclared {
    /// Not for programs: without it, a function `dependencies()` would be hidden by the property.
    @_disfavoredOverload public func dependencies() async throws -> _NotDeclared { _NotDeclared() }
}

extension _ServiceMisplacements where _CalledPolicy == _NotDeclared {
    /// Not for programs: without it, a function `policy()` would be hidden by the property.
    @_disfavoredOverload public func policy() async throws -> _NotDeclared { _NotDeclared() }
}

extension _ServiceMisplacements where _CalledTimeout == _NotDeclared {
    /// Not for programs: without it, a function `gracefulShutdownTimeout()` would be hidden by the property.
    @_disfavoredOverload public func gracefulShutdownTimeout() async throws -> _NotDeclared { _NotDeclared() }
}

extension _ServiceMisplacements where _CalledName == _NotDeclared {
    /// Not for programs: without it, a function `serviceName()` would be hidden by the property.
    @_disfavoredOverload public func serviceName() async throws -> _NotDeclared { _NotDeclared() }
}

// The checks. An AsyncService has no name as a member: `static let serviceName` is its own affair.

extension _ServiceMisplacements
where
    _StaticStart == _NotDeclared, _StaticStop == _NotDeclared, _StaticDependencies == _NotDeclared,
    _StaticPolicy == _NotDeclared, _StaticTimeout == _NotDeclared, Self: AsyncService
{
    public func _checkStatic() {}
}

extension _ServiceMisplacements
where
    _StaticStart == _NotDeclared, _StaticStop == _NotDeclared, _StaticDependencies == _NotDeclared,
    _StaticName == _NotDeclared, Self: BlockingService
{
    public func _checkStatic() {}
}

extension _ServiceMisplacements
where
    _CalledDependencies == _NotDeclared, _CalledPolicy == _NotDeclared, _CalledTimeout == _NotDeclared,
    Self: AsyncService
{
    public func _checkCalled() {}
}

extension _ServiceMisplacements
where _CalledDependencies == _NotDeclared, _CalledName == _NotDeclared, Self: BlockingService {
    public func _checkCalled() {}
}

extension _ServiceMisplacements {
    @available(*, unavailable, message: "a service's members belong to its object: remove `static` or `class`")
    public func _checkStatic() {}

    @available(*, unavailable, message: "dependencies, policy, timeouts and names are properties: `var`, not `func`")
    public func _checkCalled() {}
}
