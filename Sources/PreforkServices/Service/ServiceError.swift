// The error of a tree of services: the first cause, and all errors during its stop.

/// The end of a tree of services that was not a clean one.
///
/// The outermost error is the first cause in time: a failed start, a failed task, an error of the scope's body. `cause`
/// is what the service's code has thrown. `plain` and `run(throwing: .plain)` give only the cause, as facet does. All
/// failures during the stop of the tree are in `suppressed`, in the order they happened: no error is lost.
public struct ServiceError: Error, Sendable {
    /// What failed.
    public enum Kind: Sendable, Equatable {
        /// Services that need each other, as a path that ends where it begins. Nothing was started.
        case cycle([String])
        /// Two services have this name, or share one `Lifecycle`. Nothing was started.
        case duplicateName(String)
        /// There is nothing running to do this with.
        case notRunning
        /// It is being stopped: too late for this.
        case stopping
        /// The caller's task was cancelled, or a stop was requested before it was up.
        case cancelled
        /// The service's `start` threw. `cause` is what it threw.
        case startFailed
        /// The start had not ended within `ServicePolicy.startTimeout`, or the service had not called `ready()` by
        /// then.
        case startTimedOut
        /// A background task of the service threw. `cause` is what it threw.
        case taskFailed
        /// The service failed more often than its `ServiceBackoff` lets it.
        case restartLimitReached
        /// The service's `stop` threw. `cause` is what it threw. The services below were stopped all the same.
        case stopFailed
        /// It, or the task named in `service`, had not ended when its part of the time was over.
        case stopTimedOut
        /// The body of `withRunning` threw, and there are further errors.
        case bodyFailed
    }

    /// What failed.
    public let kind: Kind
    /// The service's path from the root, `server/mail/database`. For a task, `server/mail#tick`.
    public let service: String
    /// What the service's own code threw.
    public let cause: (any Error)?
    /// What was met afterwards, first things first.
    public let suppressed: [ServiceError]

    /// An error like those that trees throw, for tests and for code that reports failures in the same form.
    ///
    /// - Parameters:
    ///   - service: the service's path from the root, as in `service`.
    ///   - cause: what the service's code threw, if it threw.
    ///   - suppressed: later failures, in the order they happened.
    public init(_ kind: Kind, service: String, cause: (any Error)? = nil, suppressed: [ServiceError] = []) {
        self.kind = kind
        self.service = service
        self.cause = cause
        self.suppressed = suppressed
    }

    func adding(_ errors: [ServiceError]) -> ServiceError {
        errors.isEmpty
            ? self : ServiceError(kind, service: service, cause: cause, suppressed: suppressed + errors)
    }

    /// The exit code of a process whose tree ended like this: 70 for a crash, 75 if it never came up, 76 if only the
    /// stop took too long. By it a supervisor decides whether to start the process again at once.
    public var exitCode: Int32 {
        switch kind {
        case .cycle, .duplicateName, .startFailed, .startTimedOut: 75
        case .stopTimedOut: 76
        case .cancelled: suppressed.first?.exitCode ?? 0
        case .notRunning, .stopping, .taskFailed, .restartLimitReached, .stopFailed, .bodyFailed: 70
        }
    }
}

extension ServiceError: CustomStringConvertible {
    /// One line for each error of the tree, what came later further to the right.
    public var description: String {
        var lines: [String] = []
        // Not by recursion, because callers may nest such values arbitrarily deep.
        var open: [(error: ServiceError, depth: Int)] = [(self, 0)]
        while let (error, depth) = open.popLast() {
            let cause = error.cause.map { ": \($0)" } ?? ""
            lines.append(String(repeating: "  ", count: depth) + "\(error.service): \(error.kind.text)\(cause)")
            for later in error.suppressed.reversed() { open.append((later, depth + 1)) }
        }
        return lines.joined(separator: "\n")
    }
}

extension Error {
    /// Whether it says nothing but that its task was cancelled: a tree run by a service's own code says it like this.
    var isCancellation: Bool {
        if self is CancellationError { return true }
        guard let error = self as? ServiceError else { return false }
        return error.kind == .cancelled && error.suppressed.isEmpty
    }
}

extension ServiceError.Kind {
    var text: String {
        switch self {
        case .cycle(let path): "needs itself (\(path.joined(separator: " -> ")))"
        case .duplicateName(let name): "the name \(name) is taken"
        case .notRunning: "not running"
        case .stopping: "being stopped"
        case .cancelled: "cancelled"
        case .startFailed: "start failed"
        case .startTimedOut: "start timed out"
        case .taskFailed: "task failed"
        case .restartLimitReached: "failed too often"
        case .stopFailed: "stop failed"
        case .stopTimedOut: "stop timed out"
        case .bodyFailed: "body failed"
        }
    }
}
