// A tree of services whose steps are noted.

import Prefork

/// A tree of two services, which note their steps.
final class Server: AsyncService {
    let lifecycle = Lifecycle("server")
    private let database: Database
    private let ledger: Ledger
    private let isBusy: Bool

    init(_ ledger: Ledger, isBusy: Bool) {
        self.ledger = ledger
        self.isBusy = isBusy
        database = Database(ledger)
    }

    var dependencies: [DependencyGroup] { [.one(database)] }

    func start() async throws {
        ledger.note("start", "server")
        if !isBusy { return }
        try addTask("tick") { while true { try await Task.sleep(for: .milliseconds(5)) } }
    }

    func stop() async throws { ledger.note("stop", "server") }
}

final class Database: AsyncService {
    let lifecycle = Lifecycle("database")
    private let ledger: Ledger

    init(_ ledger: Ledger) { self.ledger = ledger }

    func start() async throws { ledger.note("start", "database") }
    func stop() async throws { ledger.note("stop", "database") }
}
