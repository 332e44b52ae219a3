// Services that say what they do.

import Prefork
import PreforkFixtureSupport

struct Broken: Error {}

final class Told: AsyncService {
    let lifecycle: Lifecycle
    private let name: String
    let dependencies: [DependencyGroup]
    let policy: ServicePolicy
    private let onStart: @Sendable (Told) async throws -> Void
    private let onStop: @Sendable () async throws -> Void

    init(
        _ name: String, _ dependencies: [DependencyGroup] = [], policy: ServicePolicy = ServicePolicy(),
        start: @escaping @Sendable (Told) async throws -> Void = { _ in },
        stop: @escaping @Sendable () async throws -> Void = {}
    ) {
        lifecycle = Lifecycle(name)
        self.name = name
        self.dependencies = dependencies
        self.policy = policy
        onStart = start
        onStop = stop
    }

    func start() async throws {
        try await onStart(self)
        say("start \(name)")
    }

    func stop() async throws {
        say("stop \(name)")
        try await onStop()
        say("stopped \(name)")
    }
}
