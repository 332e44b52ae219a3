// The listeners of this process, for whoever watches their queues.

import Synchronization

enum ListenerRegistry {
    private struct Entry: Sendable {
        weak var listener: Listener?
    }

    private static let entries = Mutex<[Entry]>([])

    static func add(_ listener: Listener) {
        entries.withLock { entries in
            entries.removeAll { $0.listener == nil }
            entries.append(Entry(listener: listener))
        }
    }

    static var all: [Listener] { entries.withLock { $0.compactMap(\.listener) } }
}

extension Listener {
    /// Those that were made in this process or its parent and still are in use, in the order of their making.
    package static var all: [Listener] { ListenerRegistry.all }
}
