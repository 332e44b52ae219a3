// The end of a tree.

struct TreeEnd: Sendable {
    let reason: StopReason
    /// The first cause, with everything else.
    var error: ServiceError?
    /// Whether the tree failed before its stop began: then that is the first cause, whatever the scope's body threw.
    var failedFirst = false

    /// What the scope around the tree returns or throws.
    func joined<Result>(with body: Swift.Result<Result, any Error>, service: String) throws -> Result {
        guard let error else { return try body.get() }
        guard case .failure(let cause) = body else { throw error }
        if !failedFirst {
            let later = [ServiceError(error.kind, service: error.service, cause: error.cause)] + error.suppressed
            throw ServiceError(.bodyFailed, service: service, cause: cause, suppressed: later)
        }
        // The failure itself, as `wait` gave it to the body.
        if let known = cause as? ServiceError, known.kind == error.kind, known.service == error.service { throw error }
        throw error.adding([ServiceError(.bodyFailed, service: service, cause: cause)])
    }
}
