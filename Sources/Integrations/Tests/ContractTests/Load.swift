// Constant load, and what became of it.

import Synchronization

/// Clients that ask one request after the other until they are told to end.
final class Load: Sendable {
    struct Outcome: Sendable {
        var answered = 0
        var failures: [String] = []
    }

    private let outcome = Mutex(Outcome())
    private let isOver = Mutex(false)
    private let clients = Mutex<[Task<Void, Never>]>([])

    /// Two clients that keep their connection, and two with one for each request.
    init(_ subject: Subject, port: UInt16) async throws {
        for keepsConnection in [true, true, false, false] {
            let caller = try await subject.makeCaller(port, keepsConnection)
            clients.withLock { $0.append(Task { await run(caller) }) }
        }
    }

    private func run(_ caller: any Caller) async {
        while !isOver.withLock({ $0 }) {
            do {
                _ = try await caller.ask(.who)
                outcome.withLock { $0.answered += 1 }
            } catch {
                outcome.withLock { $0.failures.append("\(error)") }
            }
        }
        await caller.close()
    }

    var answered: Int { outcome.withLock { $0.answered } }

    func waitForMore(_ count: Int) async throws {
        let before = answered
        try await eventually("\(count) more answers: \(outcome.withLock { $0.failures.suffix(3) })") {
            answered >= before + count
        }
    }

    func end() async -> Outcome {
        isOver.withLock { $0 = true }
        for client in clients.withLock({ $0 }) { await client.value }
        return outcome.withLock { $0 }
    }
}
