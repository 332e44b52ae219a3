// The listeners of this process, for code that watches their queues.

import Synchronization

enum ListenerRegistry {
    private struct Entry: Sendable {
        weak var listener: Listener?
    }

    private static let entries = Mutex<[Entry]>([])
    private static let lastNumber = Atomic<Int>(-1)

    static func takeNumber() -> Int { lastNumber.add(1, ordering: .relaxed).newValue }

    static func add(_ listener: Listener) {
        entries.withLock { entries in
            entries.removeAll { $0.listener == nil }
            entries.append(Entry(listener: listener))
        }
    }

    static var all: [Listener] { entries.withLock { $0.compactMap(\.listener) } }

    static func remove(_ listener: Listener) {
        entries.withLock { entries in entries.removeAll { $0.listener === listener || $0.listener == nil } }
    }

    static func forget(_ numbers: Set<Int32>) {
        entries.withLock { entries in
            entries.removeAll { $0.listener.map { !numbers.isDisjoint(with: $0.sockets) } ?? true }
        }
    }
}

extension Listener {
    /// Those that were made in this process or its parent and still are in use, in the order of their making.
    package static var all: [Listener] { ListenerRegistry.all }

    /// In a forked child, which closes these descriptors: `all` is without their listeners.
    package static func forget(_ numbers: [Int32]) { ListenerRegistry.forget(Set(numbers)) }
}
