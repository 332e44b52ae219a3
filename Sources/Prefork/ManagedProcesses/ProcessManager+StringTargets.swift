// Adding targets whose channels carry strings: with options and without, so that a function goes by its name, too.

import PreforkSupervisor

extension ProcessManager {
    /// As the form of `addTarget(_:carrying:_:_:)` without a loop, for channels that carry strings.
    public func addTarget(
        _ name: String, _ options: TargetOptions, _ body: @escaping (borrowing ChildContext<String>) throws -> Int32
    ) throws(ProcessError) {
        try addTarget(name, carrying: String.self, options, body)
    }

    /// The same with the standard options.
    public func addTarget(
        _ name: String, _ body: @escaping (borrowing ChildContext<String>) throws -> Int32
    ) throws(ProcessError) {
        try addTarget(name, TargetOptions(), body)
    }

    /// As the form of `addTarget(_:carrying:_:_:)` with a loop, for channels that carry strings.
    public func addTarget(
        _ name: String, _ options: TargetOptions,
        _ body: @escaping @Sendable (ManagedChild<String>) async throws -> Int32
    ) throws(ProcessError) {
        try addTarget(name, carrying: String.self, options, body)
    }

    /// The same with the standard options.
    public func addTarget(
        _ name: String, _ body: @escaping @Sendable (ManagedChild<String>) async throws -> Int32
    ) throws(ProcessError) {
        try addTarget(name, TargetOptions(), body)
    }

    /// As the form without a loop. If the body returns, the process ends with exit code 0.
    @_disfavoredOverload
    public func addTarget(
        _ name: String, _ options: TargetOptions, _ body: @escaping (borrowing ChildContext<String>) throws -> Void
    ) throws(ProcessError) {
        try addTarget(name, carrying: String.self, options) { (child: borrowing ChildContext<String>) throws -> Int32 in
            try body(child)
            return 0
        }
    }

    /// The same with the standard options.
    @_disfavoredOverload
    public func addTarget(
        _ name: String, _ body: @escaping (borrowing ChildContext<String>) throws -> Void
    ) throws(ProcessError) {
        try addTarget(name, TargetOptions(), body)
    }

    /// As the form with a loop. If the body returns, the process ends with exit code 0.
    @_disfavoredOverload
    public func addTarget(
        _ name: String, _ options: TargetOptions,
        _ body: @escaping @Sendable (ManagedChild<String>) async throws -> Void
    ) throws(ProcessError) {
        try addTarget(name, carrying: String.self, options) { (child: ManagedChild<String>) async throws -> Int32 in
            try await body(child)
            return 0
        }
    }

    /// The same with the standard options.
    @_disfavoredOverload
    public func addTarget(
        _ name: String, _ body: @escaping @Sendable (ManagedChild<String>) async throws -> Void
    ) throws(ProcessError) {
        try addTarget(name, TargetOptions(), body)
    }

    /// Adds a target whose body needs no channel and no event loop: it may block. A body that returns ends with exit
    /// code 0.
    public func addTarget(
        _ name: String, _ options: TargetOptions, _ body: @escaping () throws -> Void
    ) throws(ProcessError) {
        try addTarget(name, carrying: String.self, options) { (_: borrowing ChildContext<String>) throws -> Int32 in
            try body()
            return 0
        }
    }

    /// The same with the standard options.
    public func addTarget(
        _ name: String, _ body: @escaping () throws -> Void
    ) throws(ProcessError) {
        try addTarget(name, TargetOptions(), body)
    }

    /// Adds a target whose body needs no channel and runs on its own event loop.
    public func addTarget(
        _ name: String, _ options: TargetOptions, _ body: @escaping @Sendable () async throws -> Void
    ) throws(ProcessError) {
        try addTarget(name, carrying: String.self, options) { (_: ManagedChild<String>) async throws -> Int32 in
            try await body()
            return 0
        }
    }

    /// The same with the standard options.
    public func addTarget(
        _ name: String, _ body: @escaping @Sendable () async throws -> Void
    ) throws(ProcessError) {
        try addTarget(name, TargetOptions(), body)
    }
}
