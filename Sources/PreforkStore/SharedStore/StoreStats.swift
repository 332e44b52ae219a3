// The figures of a store.

import PreforkSystem

/// Figures of a store, all processes together, at about one moment.
public struct StoreStats: Hashable, Sendable {
    /// Entries, expired ones that are still in memory included.
    public var entries: Int
    /// How many entries the store was made for.
    public var entryLimit: Int
    /// Bytes that entries take, in whole blocks.
    public var bytes: Int
    /// How many bytes entries may take, in whole blocks: the capacity's `bytes`, rounded to blocks.
    public var byteLimit: Int
    /// How often the data of a process that died with a lock was repaired.
    public var recoveries: Int
    /// Entries that went so that others could come.
    public var evictions: Int
    /// Expired entries that were removed.
    public var expirations: Int
    /// Operations that found no room.
    public var refusals: Int
    /// Slabs freed by moving entries together.
    public var compactions: Int
    /// Entries and messages that were lost because a process wrote where it must not. A value above zero means a
    /// defect, or memory that a stray pointer has hit.
    public var damages: Int
}

extension SharedStore {
    /// Figures of the store, of all processes together.
    ///
    /// Takes no lock and never waits, so that figures which change meanwhile need not fit each other exactly. Callable
    /// from any thread and process, also in the supervisor.
    public var stats: StoreStats { table.stats }
}

extension StoreTable {
    /// The store as operators see it.
    func row(_ name: String) -> SharedObjects.Store {
        let stats = stats
        var row = SharedObjects.Store(name: name)
        row.entries = stats.entries
        row.entryLimit = stats.entryLimit
        row.bytes = stats.bytes
        row.byteLimit = stats.byteLimit
        row.evictions = stats.evictions
        row.expirations = stats.expirations
        row.refusals = stats.refusals
        row.recoveries = stats.recoveries
        row.damages = stats.damages
        return row
    }

    var stats: StoreStats {
        let totals = totals()
        func counter(_ offset: Int) -> Int { Int(clamping: memory[offset]) }
        return StoreStats(
            entries: totals.entries, entryLimit: layout.capacity.entries,
            bytes: totals.units * StoreLayout.unitBytes, byteLimit: layout.unitLimit * StoreLayout.unitBytes,
            recoveries: counter(Header.recoveries), evictions: counter(Header.evictions),
            expirations: counter(Header.expirations), refusals: counter(Header.refusals),
            compactions: counter(Header.compactions), damages: counter(Header.damages))
    }
}
