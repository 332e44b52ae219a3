// A server whose handlers share mutable state on the main actor, and count what that costs.

import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// No lock, no atomic: all handlers of a worker run on its one thread.
@MainActor private final class Visits {
    static let shared = Visits()

    var count = 0
    var threads: Set<UInt> = []
    /// Turns of a task that runs whenever another one lets it.
    var rounds = 0
    private var isWatched = false

    func add() -> Int {
        threads.insert(currentThreadNumber)
        count += 1
        return count
    }

    func watch() {
        guard !isWatched else { return }
        isWatched = true
        Task { @MainActor in
            while true {
                rounds += 1
                await Task.yield()
            }
        }
    }
}

@MainActor private func visit() async -> Int { Visits.shared.add() }

/// Answers each line with the number of visits, the number of threads that handlers have run on, how many other jobs came
/// in between 1,000 awaited calls of the main actor's code, and how many when the handler lets one.
func mainActorScenario(_ arguments: [String]) throws {
    let listener = try Listener(.tcp("127.0.0.1", 0))
    let runtime = ForkRuntime(workers: .count(1))
    say("port \(listener.address) pid \(CurrentProcess.pid)")
    let summary = try runtime.run { worker in
        try await listener.serve { @MainActor connection in
            MainActor.assertIsolated()
            Visits.shared.watch()
            while try await connection.reader.waitForMessage() {
                _ = try await connection.reader.read(until: "\n", limit: 100)
                MainActor.assertIsolated()
                let visits = Visits.shared.add()
                let before = Visits.shared.rounds
                for _ in 0..<1_000 { _ = await visit() }
                let hops = Visits.shared.rounds - before
                Visits.shared.count -= 1_000
                await Task.yield()
                let others = Visits.shared.rounds - before
                try await connection.writer.write("\(visits) \(Visits.shared.threads.count) \(hops) \(others) \(threadCount())\n")
            }
        }
    }
    say("outcome \(summary.outcome)")
}
