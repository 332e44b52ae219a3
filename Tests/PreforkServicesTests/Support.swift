// Waiting for what must become true, errors for comparison, numbers from a seed.

import PreforkServices
import PreforkServicesTestKit
import Testing

/// A condition did not become true in time.
struct NotInTime: Error {
    let what: String
}

/// Waits until `condition` holds.
func eventually(_ what: String, _ condition: () -> Bool) async throws {
    let end = ContinuousClock.now + .seconds(30)
    while !condition() {
        if ContinuousClock.now > end { throw NotInTime(what: what) }
        try await Task.sleep(for: .milliseconds(1))
    }
}

struct Broken: Error, Equatable {}

/// The error that `body` throws, or nil if it returns.
func thrown<Result>(_ body: () async throws -> Result) async -> (any Error)? {
    do {
        _ = try await body()
        return nil
    } catch { return error }
}

// What a thrown error is when it is a `ServiceError`. Named types choose the error's own members, not these again.
extension Error {
    var kind: ServiceError.Kind? {
        guard let error = self as? ServiceError else { return nil }
        let kind: ServiceError.Kind = error.kind
        return kind
    }

    var suppressed: [ServiceError] {
        guard let error = self as? ServiceError else { return [] }
        return error[keyPath: \ServiceError.suppressed]
    }

    var cause: (any Error)? { (self as? ServiceError).flatMap { $0[keyPath: \ServiceError.cause] } }

    /// Kind and path of the error and of everything that followed.
    var story: [String] {
        guard let error = self as? ServiceError else { return ["\(self)"] }
        let kind: ServiceError.Kind = error.kind
        return ["\(kind) \(error.service)"] + error.suppressed.flatMap { $0.story }
    }
}

/// SplitMix64: a seed repeats what was seen once.
struct SeededNumbers: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(max(bound, 1))) }
}
