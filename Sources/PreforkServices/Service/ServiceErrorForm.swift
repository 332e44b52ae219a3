// Errors as the services' own code has thrown them, without the wrapping that says where and what else.

/// What a tree throws when a service's own code has failed.
public enum ServiceErrorForm: Sendable {
    /// A `ServiceError`, with the service's path and everything that happened afterwards.
    case wrapped
    /// What the service's code has thrown, if there is no further error, else a `ServiceError`. As facet does.
    case plain
}

extension ServiceError {
    /// What the service's code has thrown, if nothing else happened. This error if there is no such cause, or there are
    /// further errors.
    public var plain: any Error {
        guard let cause, suppressed.isEmpty else { return self }
        return (cause as? ServiceError)?.plain ?? cause
    }

    func thrown(as form: ServiceErrorForm) -> any Error {
        switch form {
        case .wrapped: self
        case .plain: plain
        }
    }
}

extension AsyncService {
    /// As `run()`, with a choice of what is thrown:
    ///
    ///     do { try await Server().run(throwing: .plain) } catch let error as DatabaseError { ... }
    ///
    /// Where the error decides a process's exit code, as in a worker's body, keep `run()`: a plain error is code 1.
    @discardableResult
    public func run(throwing form: ServiceErrorForm) async throws -> StopReason {
        do throws(ServiceError) { return try await run() } catch { throw error.thrown(as: form) }
    }

    /// As `wait()`, with a choice of what is thrown.
    @discardableResult
    public func wait(throwing form: ServiceErrorForm) async throws -> StopReason {
        do throws(ServiceError) { return try await wait() } catch { throw error.thrown(as: form) }
    }

    /// As `withRunning(_:)`, with a choice of what is thrown.
    public func withRunning<Result>(
        throwing form: ServiceErrorForm, isolation: isolated (any Actor)? = #isolation,
        _ body: (Self) async throws -> Result
    ) async throws -> Result {
        do { return try await withRunning(isolation: isolation, body) } catch let error as ServiceError {
            throw error.thrown(as: form)
        }
    }
}

extension BlockingService {
    /// As `withRunning(_:)`, with a choice of what is thrown.
    public func withRunning<Result>(throwing form: ServiceErrorForm, _ body: (Self) throws -> Result) throws -> Result {
        do { return try withRunning(body) } catch let error as ServiceError { throw error.thrown(as: form) }
    }
}
