// facet's examples, word by word.

import Prefork

private final class B: AsyncService {
    let lifecycle = Lifecycle()
    func start() async throws { print("b started") }
    func stop() async throws { print("b stopped") }
}

private final class A: AsyncService {
    let lifecycle = Lifecycle()
    let b = B()
    var dependencies: [any AsyncService] { [b] }
    var gracefulShutdownTimeout: Duration { .seconds(60) }

    func start() async throws {
        let answer = try addTask { 42 }
        print("a started", try await answer.value)
    }

    func stop() async throws { print("a stopped") }
}

func services() async throws {
    try await A().withRunning { a in
        print("b runs: \(a.b.running)")
    }
}
