// What this process has made for itself and its children to share.

import Synchronization

extension SharedObjects {
    /// How an object tells its present figures. Each reads shared memory without a lock, never waits, and returns nil
    /// when the object has gone.
    package enum Source: Sendable {
        case store(@Sendable () -> Store?)
        case queue(@Sendable () -> Queue?)
        case channel(@Sendable () -> Channel?)

        var isGone: Bool {
            switch self {
            case .store(let row): row() == nil
            case .queue(let row): row() == nil
            case .channel(let row): row() == nil
            }
        }
    }

    private static let sources = Mutex<[Source]>([])

    /// Adds an object of this process. Its children inherit the list.
    package static func add(_ source: Source) {
        sources.withLock { sources in
            // Objects that are made for a while, again and again, must not fill the list.
            if sources.count & (sources.count - 1) == 0 { sources.removeAll { $0.isGone } }
            sources.append(source)
        }
    }

    /// The present figures of every living object that this process or an ancestor has made, in the order of making.
    package static var present: SharedObjects {
        var objects = SharedObjects()
        for source in sources.withLock({ $0 }) {
            switch source {
            case .store(let row): if let row = row() { objects.stores.append(row) }
            case .queue(let row): if let row = row() { objects.queues.append(row) }
            case .channel(let row): if let row = row() { objects.channels.append(row) }
            }
        }
        objects.distinguishNames()
        return objects
    }

    /// Two objects of one name get names that tell them apart, in the order of their making: `jobs`, `jobs (2)`.
    mutating func distinguishNames() {
        Self.distinguish(&stores, \.name)
        Self.distinguish(&queues, \.name)
        Self.distinguish(&channels, \.name)
    }

    private static func distinguish<Row>(_ rows: inout [Row], _ name: WritableKeyPath<Row, String>) {
        var seen: [String: Int] = [:]
        for index in rows.indices {
            let given = rows[index][keyPath: name]
            let count = seen[given, default: 0] + 1
            seen[given] = count
            if count > 1 { rows[index][keyPath: name] = "\(given) (\(count))" }
        }
    }
}
