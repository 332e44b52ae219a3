// The channels of this process by their names. A forked child inherits them.

import Synchronization

/// Weak: an unreferenced channel is gone.
enum ChannelRegistry {
    private struct Entry: Sendable {
        weak var core: ChannelCore?
    }

    private static let entries = Mutex<[String: Entry]>([:])

    static func add(_ core: ChannelCore) throws(ChannelError) {
        try entries.withLock { entries throws(ChannelError) in
            let name = core.memory.name
            if entries[name]?.core != nil { throw ChannelError(.duplicateName, channel: name) }
            entries[name] = Entry(core: core)
        }
    }

    static func remove(_ core: ChannelCore) {
        entries.withLock { entries in
            if entries[core.memory.name]?.core === core { entries[core.memory.name] = nil }
        }
    }

    static subscript(name: String) -> ChannelCore? {
        entries.withLock { $0[name]?.core }
    }

    static var cores: [ChannelCore] {
        entries.withLock { entries in entries.values.compactMap(\.core) }
    }

    static var names: [String] {
        entries.withLock { entries in entries.filter { $0.value.core != nil }.keys.sorted() }
    }
}
