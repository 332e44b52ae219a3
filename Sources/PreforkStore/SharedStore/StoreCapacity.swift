// The size of a store, fixed when it is made.

/// What a `SharedStore` has room for. It never grows: what it may cost is known before the first worker is forked.
public struct StoreCapacity: Hashable, Sendable {
    /// How many keys. 1 to 2^26.
    public var entries: Int
    /// How many bytes the entries may take: a key, its value and 24 bytes each, rounded up to a block. 4 KiB to 8 GiB.
    ///
    /// Blocks are multiples of 64 bytes, at most a third of one is unused. An entry of more than 2 KiB has whole 4 KiB
    /// for its value, and a block for its key and for the end of the value, if that fits into it.
    ///
    /// Memory counts when it is touched: a store of 1 GiB that holds 1 MiB costs little more than that. More than 64
    /// MiB are reserved as a whole when the store is made, if the control group has a memory limit (systemd's
    /// MemoryMax=, Docker's --memory), because the kernel kills a process for a page that is not available. The index
    /// adds about 24 bytes for each of `entries`, and up to 5 MiB and a fifteenth keep the capacity usable when sizes
    /// are mixed and values replaced.
    public var bytes: Int
    /// How many bytes of published messages are kept for subscribers that are behind. A power of two is used, at least
    /// 16 KiB. Use 0 for a store without publishers. One message has at most a quarter of it, less 544 bytes.
    public var publishLog: Int

    /// A capacity. The values are checked when the store is made, which throws `.badArgument` for one out of range.
    ///
    /// - Parameters:
    ///   - entries: how many keys, 1 to 2^26.
    ///   - bytes: how many bytes the entries may take, 4 KiB to 8 GiB.
    ///   - publishLog: how many bytes of published messages are kept, or 0 for a store without publishers.
    public init(entries: Int = 65_536, bytes: Int = 64 << 20, publishLog: Int = 1 << 20) {
        self.entries = entries
        self.bytes = bytes
        self.publishLog = publishLog
    }
}

/// What happens to a new entry when a store is full.
public enum WhenFull: Hashable, Sendable {
    /// It is refused with a typed error.
    case refuse
    /// The entries that were not read or written for the longest time make room for it.
    ///
    /// As near as that can be known without a lock on reading: time is counted in sixteenths of a turnover of the
    /// store, and the oldest of 32 entries goes. In each stripe, expired entries go before all others.
    case evictLeastRecentlyUsed
}
