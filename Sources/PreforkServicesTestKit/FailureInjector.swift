// Failures where a test wants them.

import Synchronization

/// What an injected failure throws.
public struct InjectedFailure: Error, Equatable, Sendable, CustomStringConvertible {
    /// The point that failed, for example `start database`.
    public let point: String

    /// The error of a point, for comparison with one that was thrown.
    public init(_ point: String) { self.point = point }

    public var description: String { "injected at \(point)" }
}

/// Fails at named points of a test's services: `start database`.
public final class FailureInjector: Sendable {
    private let failures: Mutex<[String: Int]>

    /// - Parameter points: fail whenever they are reached.
    public init(_ points: Set<String> = []) {
        failures = Mutex(Dictionary(uniqueKeysWithValues: points.map { ($0, Int.max) }))
    }

    /// Makes a point fail the next `times` times.
    public func fail(_ point: String, times: Int = .max) {
        failures.withLock { $0[point] = max(times, 0) }
    }

    /// - Throws: `InjectedFailure` if the point must fail.
    public func pass(_ point: String) throws {
        let fails = failures.withLock { failures in
            guard let left = failures[point], left > 0 else { return false }
            if left < .max { failures[point] = left - 1 }
            return true
        }
        if fails { throw InjectedFailure(point) }
    }
}
